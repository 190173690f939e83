import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  allow,
  application,
  connect,
  nonceOf,
  redirectUri,
  refresh,
  type Started,
  signed,
  start,
} from '../testing.ts'
import { sign } from './signature.ts'

const { clientId } = application

/** Sent by withings-node-oauth2 and recomputed with another implementation of HMAC. */
const vectors = [
  [
    { action: 'getnonce', client_id: 'c', timestamp: '1795407212' },
    '668bb342d1b7fa81508b5eb4f9128e8e5e6084ba1f59d98406e67110fed22617',
  ],
  [
    { action: 'subscribe', client_id: 'c', nonce: 'n1' },
    'cdc804d8b5c77eaf66433cae95dc72379436210789c62dbd59829a3992b127cf',
  ],
  [
    { action: 'requesttoken', client_id: 'c', nonce: 'n1' },
    '7d7e11e458f6cad9a07a21c165623aa82c8687d1ad52e2400fb52d6c9a61eeeb',
  ],
] as const

for (const [fields, signature] of vectors) {
  test(`the signature of ${fields.action} is the one that live clients send`, () => {
    assert.equal(sign('s', fields), signature)
  })
}

test('the order in which the fields are written does not change the signature', () => {
  const fields = { nonce: 'n1', client_id: 'c', action: 'subscribe' }
  assert.equal(sign('s', fields), vectors[1][1])
})

function tradeSigned(sandbox: Pick<Started, 'post'>, code: string, nonce: string) {
  return sandbox.post<{ access_token: string }>('/v2/oauth2', {
    ...signed('requesttoken', nonce),
    grant_type: 'authorization_code',
    code,
    redirect_uri: redirectUri,
  })
}

test('a signed call trades a code without the secret', async () => {
  await using sandbox = await start()
  const answer = await tradeSigned(sandbox, await allow(sandbox.url), await nonceOf(sandbox))
  assert.equal(answer.status, 0)
})

test('a nonce serves one call', async () => {
  await using sandbox = await start()
  const nonce = await nonceOf(sandbox)
  assert.equal((await tradeSigned(sandbox, await allow(sandbox.url), nonce)).status, 0)
  assert.equal((await tradeSigned(sandbox, await allow(sandbox.url), nonce)).status, 343)
})

test('a nonce dies after 30 minutes', async () => {
  await using sandbox = await start()
  const nonce = await nonceOf(sandbox)
  await sandbox.control('POST', '/clock', { advance_seconds: 1800 })
  assert.equal((await tradeSigned(sandbox, await allow(sandbox.url), nonce)).status, 343)
})

test("another application's nonce is refused", async () => {
  await using sandbox = await start()
  const nonce = await nonceOf(sandbox)
  sandbox.registerApplication({ clientId: 'other', clientSecret: 'o', redirectUris: [] })
  const fields = { action: 'requesttoken', client_id: 'other', nonce }
  const form = { ...fields, signature: sign('o', fields), grant_type: 'refresh_token' }
  assert.equal((await sandbox.post('/v2/oauth2', form)).status, 343)
})

test('a wrong signature answers 342', async () => {
  await using sandbox = await connect()
  const nonce = await nonceOf(sandbox)
  const { status } = await sandbox.post('/v2/oauth2', {
    ...signed('requesttoken', nonce),
    signature: '0'.repeat(64),
    grant_type: 'refresh_token',
    refresh_token: sandbox.tokens.refresh_token,
  })
  assert.equal(status, 342)
})

test('a nonce is not given for a wrong signature', async () => {
  await using sandbox = await start()
  const form = { action: 'getnonce', client_id: clientId, timestamp: '1', signature: 'x' }
  assert.equal((await sandbox.post('/v2/signature', form)).status, 342)
})

test('a signature for one action does not serve another', async () => {
  await using sandbox = await connect()
  const form = { ...signed('requesttoken', await nonceOf(sandbox)), action: 'revoke' }
  const answer = await sandbox.post('/v2/oauth2', { ...form, userid: sandbox.tokens.userid })
  assert.equal(answer.status, 342)
})

test('a signed revoke ends both tokens and the subscriptions', async () => {
  await using sandbox = await connect()
  const form = { ...signed('revoke', await nonceOf(sandbox)), userid: sandbox.tokens.userid }
  assert.equal((await sandbox.post('/v2/oauth2', form)).status, 0)
  assert.equal((await sandbox.call('/v2/user', { action: 'getgoals' })).status, 401)
  assert.equal((await refresh(sandbox, sandbox.tokens.refresh_token)).status, 503)
  const { body } = await sandbox.control('GET', '/state')
  assert.deepEqual(body.subscriptions, [])
})

test('secret and signature may come together, and each must be right', async () => {
  await using sandbox = await connect()
  const attempt = async (changes: Readonly<Record<string, string>>) => {
    const form = { ...signed('requesttoken', await nonceOf(sandbox)), ...changes }
    return (await refresh(sandbox, sandbox.tokens.refresh_token, form)).status
  }
  assert.equal(await attempt({ client_secret: 'guess' }), 503)
  assert.equal(await attempt({ signature: '0'.repeat(64) }), 342)
  assert.equal(await attempt({}), 0)
})

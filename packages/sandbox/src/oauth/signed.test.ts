import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  allow,
  application,
  connect,
  nonceOf,
  refresh,
  type Started,
  signed,
  start,
  type TokenBody,
  trade,
} from '../testing.ts'

const goals = { action: 'getgoals' }

async function demoAccess(sandbox: Pick<Started, 'post'>, scope: string) {
  const form = { ...signed('getdemoaccess', await nonceOf(sandbox)), scope_oauth2: scope }
  return await sandbox.post<TokenBody>('/v2/oauth2', form)
}

test('getdemoaccess gives working tokens of the dummy account without any consent', async () => {
  await using sandbox = await start()
  const { status, body } = await demoAccess(sandbox, 'user.info,user.metrics')
  assert.equal(status, 0)
  assert.equal(body.scope, 'user.info,user.metrics')
  assert.equal((await sandbox.post('/v2/user', goals, body.access_token)).status, 0)
  assert.equal((await refresh(sandbox, body.refresh_token)).status, 0)
})

test('getdemoaccess is refused without a right signature and without known scopes', async () => {
  await using sandbox = await start()
  const { signature, ...unsigned } = signed('getdemoaccess', await nonceOf(sandbox))
  assert.equal(signature.length, 64)
  const secret = { ...unsigned, client_secret: application.clientSecret, scope_oauth2: 'user.info' }
  assert.equal((await sandbox.post('/v2/oauth2', secret)).status, 342)
  for (const scope of ['', 'user.info user.metrics', 'user.everything']) {
    const { status, error } = await demoAccess(sandbox, scope)
    assert.deepEqual([status, error], [503, 'Invalid Params: invalid scope_oauth2'])
  }
})

test('mode=demo connects the dummy account, another person with another past', async () => {
  await using sandbox = await start()
  const person = (await trade(sandbox, await allow(sandbox.url, undefined, { mode: null }))).body
  const demo = (await trade(sandbox, await allow(sandbox.url, undefined, { mode: 'demo' }))).body
  assert.notEqual(demo.userid, person.userid)
  assert.equal((await demoAccess(sandbox, 'user.info')).body.userid, demo.userid)
  const measures = async ({ access_token }: TokenBody) =>
    (await sandbox.post('/measure', { action: 'getmeas', meastype: 1 }, access_token)).body
  assert.notDeepEqual(await measures(person), await measures(demo))
})

test('what one person changes leaves the other alone', async () => {
  await using sandbox = await start()
  const person = (await trade(sandbox, await allow(sandbox.url, undefined, { mode: null }))).body
  const demo = (await trade(sandbox, await allow(sandbox.url, undefined, { mode: 'demo' }))).body
  const unlink = { action: 'unlink', mac_address: '00:24:e4:5a:10:01' }
  assert.equal((await sandbox.post('/v2/user', unlink, person.access_token)).status, 0)
  assert.equal((await sandbox.post('/v2/user', unlink, demo.access_token)).status, 0)
})

test('revoking one person leaves the other connected', async () => {
  await using sandbox = await start()
  const person = (await trade(sandbox, await allow(sandbox.url, undefined, { mode: null }))).body
  const demo = (await trade(sandbox, await allow(sandbox.url, undefined, { mode: 'demo' }))).body
  const form = { ...signed('revoke', await nonceOf(sandbox)), userid: demo.userid }
  assert.equal((await sandbox.post('/v2/oauth2', form)).status, 0)
  assert.equal((await sandbox.post('/v2/user', goals, demo.access_token)).status, 401)
  assert.equal((await sandbox.post('/v2/user', goals, person.access_token)).status, 0)
})

test('revoke needs a signature and a person who is connected here', async () => {
  await using sandbox = await connect()
  const { userid } = sandbox.tokens
  const secret = { client_id: application.clientId, client_secret: application.clientSecret }
  const unsigned = await sandbox.post('/v2/oauth2', { action: 'revoke', ...secret, userid })
  assert.equal(unsigned.status, 343)
  const stranger = { ...signed('revoke', await nonceOf(sandbox)), userid: 1 }
  assert.equal((await sandbox.post('/v2/oauth2', stranger)).status, 247)
  assert.equal((await sandbox.call('/v2/user', goals)).status, 0)
})

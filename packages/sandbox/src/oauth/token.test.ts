import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allow, application, connect, redirectUri, refresh, start, trade } from '../testing.ts'

const goals = { action: 'getgoals' }

test('a code becomes a token pair, nested under body, with HTTP 200', async () => {
  await using sandbox = await start()
  const { status, body } = await trade(sandbox, await allow(sandbox.url))
  assert.equal(status, 0)
  assert.match(body.access_token, /^[0-9a-f]{40}$/)
  assert.match(body.refresh_token, /^[0-9a-f]{40}$/)
  assert.equal(body.expires_in, 10_800)
  assert.equal(body.token_type, 'Bearer')
  assert.equal(body.scope, 'user.info,user.metrics,user.activity,user.sleepevents')
  assert.equal(typeof body.userid, 'string')
})

test('a code serves once', async () => {
  await using sandbox = await start()
  const code = await allow(sandbox.url)
  await trade(sandbox, code)
  assert.deepEqual(await trade(sandbox, code), {
    status: 503,
    body: {},
    error: 'Invalid Params: invalid code',
  })
})

test('a code lives for 30 seconds', async () => {
  let seconds = 1_795_000_000
  await using sandbox = await start({ now: () => seconds * 1000 })
  const early = await allow(sandbox.url)
  seconds += 29
  assert.equal((await trade(sandbox, early)).status, 0)
  const late = await allow(sandbox.url)
  seconds += 30
  assert.equal((await trade(sandbox, late)).error, 'Invalid Params: invalid code')
})

const refused = [
  ['another redirect URI', { redirect_uri: 'http://127.0.0.1:9/other' }, 'redirect_uri'],
  ['an unknown client', { client_id: 'nobody' }, 'client_id'],
  ['a wrong secret', { client_secret: 'guess' }, 'client_secret'],
  ['an unknown code', { code: 'f'.repeat(40) }, 'code'],
  ['an unknown grant type', { grant_type: 'password' }, 'grant_type'],
  ['a name of the prototype as grant type', { grant_type: 'constructor' }, 'grant_type'],
] as const

for (const [what, changes, name] of refused) {
  test(`${what} does not trade a code`, async () => {
    await using sandbox = await start()
    const answer = await trade(sandbox, await allow(sandbox.url), changes)
    assert.deepEqual([answer.status, answer.error], [503, `Invalid Params: invalid ${name}`])
  })
}

test("another application cannot trade a code, and the code's owner cannot either after that", async () => {
  await using sandbox = await start()
  const other = { clientId: 'other', clientSecret: 'o', redirectUris: [redirectUri] }
  sandbox.registerApplication(other)
  const code = await allow(sandbox.url)
  const theft = await trade(sandbox, code, { client_id: 'other', client_secret: 'o' })
  assert.equal(theft.error, 'Invalid Params: invalid code')
  assert.equal((await trade(sandbox, code)).status, 503)
})

test('parameters in the query of the token endpoint are not read', async () => {
  await using sandbox = await connect()
  const query = new URLSearchParams({
    action: 'requesttoken',
    client_id: application.clientId,
    client_secret: application.clientSecret,
    grant_type: 'refresh_token',
    refresh_token: sandbox.tokens.refresh_token,
  })
  for (const method of ['GET', 'POST']) {
    const response = await fetch(`${sandbox.url}/v2/oauth2?${query}`, { method })
    assert.equal(response.status, 200)
    assert.deepEqual(await response.json(), {
      status: 503,
      body: {},
      error: 'Invalid Params: invalid grant_type',
    })
  }
})

test('the token endpoint reads a JSON body too', async () => {
  await using sandbox = await connect()
  const response = await fetch(`${sandbox.url}/v2/oauth2`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      action: 'requesttoken',
      client_id: application.clientId,
      client_secret: application.clientSecret,
      grant_type: 'refresh_token',
      refresh_token: sandbox.tokens.refresh_token,
    }),
  })
  const { status } = (await response.json()) as { status: number }
  assert.equal(status, 0)
})

test('HTTP Basic does not authenticate an application', async () => {
  await using sandbox = await connect()
  const basic = Buffer.from(`${application.clientId}:${application.clientSecret}`)
  const response = await fetch(`${sandbox.url}/v2/oauth2`, {
    method: 'POST',
    headers: { authorization: `Basic ${basic.toString('base64')}` },
    body: new URLSearchParams({
      action: 'requesttoken',
      grant_type: 'refresh_token',
      refresh_token: sandbox.tokens.refresh_token,
    }),
  })
  const { status } = (await response.json()) as { status: number }
  assert.equal(status, 503)
})

test('a refresh gives a new pair with the same scopes and the user id as an integer', async () => {
  await using sandbox = await connect(['user.info'])
  const { body } = await refresh(sandbox, sandbox.tokens.refresh_token)
  assert.notEqual(body.access_token, sandbox.tokens.access_token)
  assert.notEqual(body.refresh_token, sandbox.tokens.refresh_token)
  assert.equal(body.scope, 'user.info')
  assert.equal(body.userid, Number(sandbox.tokens.userid))
})

test('an old refresh token still serves while the new access token is unused', async () => {
  await using sandbox = await connect()
  await refresh(sandbox, sandbox.tokens.refresh_token)
  assert.equal((await refresh(sandbox, sandbox.tokens.refresh_token)).status, 0)
})

test('an old refresh token dies at the first use of the new access token', async () => {
  await using sandbox = await connect()
  const { body } = await refresh(sandbox, sandbox.tokens.refresh_token)
  assert.equal((await sandbox.post('/v2/user', goals, body.access_token)).status, 0)
  assert.deepEqual(await refresh(sandbox, sandbox.tokens.refresh_token), {
    status: 503,
    body: {},
    error: 'Invalid Params: invalid refresh_token',
  })
  assert.equal((await refresh(sandbox, body.refresh_token)).status, 0)
})

test('a refused call is a use of the access token as well', async () => {
  await using sandbox = await connect(['user.activity'])
  const { body } = await refresh(sandbox, sandbox.tokens.refresh_token)
  assert.equal((await sandbox.post('/v2/user', goals, body.access_token)).status, 403)
  assert.equal((await refresh(sandbox, sandbox.tokens.refresh_token)).status, 503)
})

test('the first use at the end of a chain of refreshes kills every older refresh token', async () => {
  await using sandbox = await connect()
  const second = (await refresh(sandbox, sandbox.tokens.refresh_token)).body
  const third = (await refresh(sandbox, second.refresh_token)).body
  await sandbox.post('/v2/user', goals, third.access_token)
  assert.equal((await refresh(sandbox, sandbox.tokens.refresh_token)).status, 503)
  assert.equal((await refresh(sandbox, second.refresh_token)).status, 503)
})

test('an old refresh token dies 8 hours after it was traded', async () => {
  await using sandbox = await connect()
  await refresh(sandbox, sandbox.tokens.refresh_token)
  await sandbox.control('POST', '/clock', { advance_seconds: 28_790 })
  assert.equal((await refresh(sandbox, sandbox.tokens.refresh_token)).status, 0)
  await sandbox.control('POST', '/clock', { advance_seconds: 10 })
  assert.equal((await refresh(sandbox, sandbox.tokens.refresh_token)).status, 503)
})

test('an untraded refresh token lives for a year', async () => {
  await using sandbox = await connect()
  await sandbox.control('POST', '/clock', { advance_seconds: 31_535_900 })
  const { status, body } = await refresh(sandbox, sandbox.tokens.refresh_token)
  assert.equal(status, 0)
  await sandbox.control('POST', '/clock', { advance_seconds: 31_536_000 })
  assert.equal((await refresh(sandbox, body.refresh_token)).status, 503)
})

test('another application cannot use a refresh token, and does not harm it', async () => {
  await using sandbox = await connect()
  sandbox.registerApplication({ clientId: 'other', clientSecret: 'o', redirectUris: [] })
  const theft = await refresh(sandbox, sandbox.tokens.refresh_token, {
    client_id: 'other',
    client_secret: 'o',
  })
  assert.equal(theft.status, 503)
  assert.equal((await refresh(sandbox, sandbox.tokens.refresh_token)).status, 0)
})

test('an access token is no refresh token, nor the other way round', async () => {
  await using sandbox = await connect()
  assert.equal((await refresh(sandbox, sandbox.tokens.access_token)).status, 503)
  const answer = await sandbox.post('/v2/user', goals, sandbox.tokens.refresh_token)
  assert.equal(answer.status, 401)
})

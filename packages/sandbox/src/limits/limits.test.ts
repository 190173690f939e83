import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  allow,
  application,
  connect,
  redirectUri,
  refresh,
  type Started,
  start,
  trade,
} from '../testing.ts'
import type { LimitSettings } from './settings.ts'

const goals = { action: 'getgoals' }
const same = {
  status: 601,
  body: {},
  error: 'Same arguments in less than 10 seconds',
} as const
const guarded = { duplicateGuard: true, after401: true, requestsPerMinute: null }

function connectWith(limits: Partial<LimitSettings>) {
  return connect(undefined, { limits })
}

function pass(sandbox: Pick<Started, 'control'>, seconds: number) {
  return sandbox.control('POST', '/clock', { advance_seconds: seconds })
}

test('the same call within 10 seconds answers the recorded 601, and after them is answered', async () => {
  let ms = 1_795_435_200_000
  await using sandbox = await connect(undefined, { limits: guarded, now: () => ms })
  assert.equal((await sandbox.call('/v2/user', goals)).status, 0)
  ms += 9_999
  assert.deepEqual(await sandbox.call('/v2/user', goals), same)
  ms += 1
  assert.equal((await sandbox.call('/v2/user', goals)).status, 0)
})

test('a refused repetition does not make the ten seconds longer', async () => {
  await using sandbox = await connectWith(guarded)
  await sandbox.call('/v2/user', goals)
  await pass(sandbox, 6)
  assert.equal((await sandbox.call('/v2/user', goals)).status, 601)
  await pass(sandbox, 6)
  assert.equal((await sandbox.call('/v2/user', goals)).status, 0)
})

test('order and place of the parameters, and the place of the token, make no other call', async () => {
  await using sandbox = await connectWith(guarded)
  const { access_token } = sandbox.tokens
  const first = { action: 'getmeas', category: 1, meastype: 1 }
  assert.equal((await sandbox.call('/measure', first)).status, 0)
  const turned = { meastype: 1, category: 1, action: 'getmeas' }
  assert.deepEqual(await sandbox.call('/measure', turned), same)
  const query = new URLSearchParams({ action: 'getmeas', category: '1', meastype: '1' })
  const response = await fetch(`${sandbox.url}/measure?${query}&access_token=${access_token}`)
  assert.deepEqual(await response.json(), same)
})

test('another parameter, another service and another action are other calls', async () => {
  await using sandbox = await connectWith(guarded)
  const calls = [
    ['/v2/heart', { action: 'list' }],
    ['/v2/heart', { action: 'list', offset: 0 }],
    ['/v2/heart', { action: 'list', offset: 1 }],
    ['/notify', { action: 'list' }],
    ['/notify', { action: 'get', callbackurl: 'http://localhost/' }],
  ] as const
  for (const [path, form] of calls) assert.notEqual((await sandbox.call(path, form)).status, 601)
})

test('two calls at once are one too many', async () => {
  await using sandbox = await connectWith(guarded)
  const answers = await Promise.all([1, 2, 3].map(() => sandbox.call('/v2/user', goals)))
  assert.deepEqual(answers.map(({ status }) => status).sort(), [0, 601, 601])
})

test('a refused call counts as an earlier one', async () => {
  await using sandbox = await connect(['user.activity'], { limits: guarded })
  assert.equal((await sandbox.call('/v2/user', goals)).status, 403)
  assert.equal((await sandbox.call('/v2/user', goals)).status, 601)
})

test('a repeated refresh answers 601, and the first one stands', async () => {
  await using sandbox = await connectWith(guarded)
  const { refresh_token } = sandbox.tokens
  const first = await refresh(sandbox, refresh_token)
  assert.equal(first.status, 0)
  assert.deepEqual(await refresh(sandbox, refresh_token), same)
  assert.equal((await refresh(sandbox, first.body.refresh_token)).status, 0)
  await pass(sandbox, 10)
  assert.equal((await refresh(sandbox, refresh_token)).status, 0)
})

test('a repeated code is refused as a used one, not as a repetition', async () => {
  await using sandbox = await start({ limits: guarded })
  const code = await allow(sandbox.url)
  assert.equal((await trade(sandbox, code)).status, 0)
  assert.equal((await trade(sandbox, code)).status, 503)
})

for (const after401 of [true, false]) {
  test(`with after_401 ${after401} the retry with a new token answers ${after401 ? 601 : 0}`, async () => {
    await using sandbox = await connectWith({ ...guarded, after401 })
    await sandbox.control('POST', '/expire', { tokens: 'access' })
    assert.equal((await sandbox.call('/v2/user', goals)).status, 401)
    const { access_token } = (await refresh(sandbox, sandbox.tokens.refresh_token)).body
    const retry = await sandbox.post('/v2/user', goals, access_token)
    assert.equal(retry.status, after401 ? 601 : 0)
    const again = await sandbox.post('/v2/user', goals, access_token)
    assert.equal(again.status, 601)
  })
}

test('the same call at another application is another call', async () => {
  await using sandbox = await connectWith(guarded)
  const other = { clientId: 'other', clientSecret: 'o', redirectUris: [redirectUri] }
  sandbox.registerApplication(other)
  const code = await allow(sandbox.url, undefined, { client_id: 'other' })
  const tokens = await trade(sandbox, code, { client_id: 'other', client_secret: 'o' })
  assert.equal((await sandbox.call('/v2/user', goals)).status, 0)
  assert.equal((await sandbox.post('/v2/user', goals, tokens.body.access_token)).status, 0)
})

test('a call that a fault swallows was never there', async () => {
  await using sandbox = await connectWith(guarded)
  const fault = { kind: 'reset', path: '/v2/user', times: 1 }
  await sandbox.control('POST', '/faults', { faults: [fault] })
  await assert.rejects(sandbox.call('/v2/user', goals))
  assert.equal((await sandbox.call('/v2/user', goals)).status, 0)
})

test('120 requests a minute, and the next one is told how long to wait', async () => {
  let ms = 1_795_435_200_000
  const now = () => ms
  const limits = { duplicateGuard: false }
  await using sandbox = await connect(undefined, { limits, now })
  // Trading the code was the first request of the minute.
  for (let count = 2; count <= 120; count += 1) {
    assert.equal((await sandbox.call('/v2/user', goals)).status, 0)
    ms += 100
  }
  const limited = await sandbox.call('/v2/user', goals)
  const wait = 60 - 11
  assert.deepEqual(limited, {
    status: 601,
    body: { wait_seconds: wait },
    error: 'Too Many Requests',
  })
  ms += (wait - 1) * 1000
  assert.equal((await sandbox.call('/v2/user', goals)).status, 601)
  ms += 1000
  assert.equal((await sandbox.call('/v2/user', goals)).status, 0)
})

test('no minute, wherever it begins, holds more requests than the limit', async () => {
  let ms = 1_795_435_200_000
  const limits = { duplicateGuard: false, requestsPerMinute: 4 }
  await using sandbox = await connect(undefined, { limits, now: () => ms })
  const answered: number[] = []
  for (let count = 0; count < 60; count += 1) {
    ms += 7_000
    if ((await sandbox.call('/v2/user', goals)).status === 0) answered.push(ms)
  }
  assert.ok(answered.length > 20)
  for (const at of answered) {
    assert.ok(answered.filter((it) => it >= at && it < at + 60_000).length <= 4)
  }
})

test('the users of an application share its limit, and another application has its own', async () => {
  await using sandbox = await connectWith({ duplicateGuard: false, requestsPerMinute: 3 })
  const demo = await trade(sandbox, await allow(sandbox.url, undefined, { mode: 'demo' }))
  assert.equal((await sandbox.call('/v2/user', goals)).status, 0)
  const shared = await sandbox.post('/v2/user', goals, demo.body.access_token)
  assert.equal(shared.status, 601)
  const other = { clientId: 'other', clientSecret: 'o', redirectUris: [redirectUri] }
  sandbox.registerApplication(other)
  const code = await allow(sandbox.url, undefined, { client_id: 'other' })
  const tokens = await trade(sandbox, code, { client_id: 'other', client_secret: 'o' })
  assert.equal((await sandbox.post('/v2/user', goals, tokens.body.access_token)).status, 0)
})

test('the token endpoint counts against the limit, and is limited', async () => {
  await using sandbox = await connectWith({ duplicateGuard: false, requestsPerMinute: 2 })
  assert.equal((await refresh(sandbox, sandbox.tokens.refresh_token)).status, 0)
  assert.equal((await refresh(sandbox, sandbox.tokens.refresh_token)).status, 601)
})

test('both are on by default', async () => {
  await using sandbox = await connectWith({})
  const settings = { duplicate_guard: true, after_401: true, requests_per_minute: 120 }
  assert.deepEqual((await sandbox.control('GET', '/limits')).body, settings)
  await sandbox.call('/v2/user', goals)
  assert.equal((await sandbox.call('/v2/user', goals)).status, 601)
})

test('each switch can be turned while the sandbox runs', async () => {
  await using sandbox = await connectWith({})
  await sandbox.call('/v2/user', goals)
  await sandbox.control('POST', '/limits', { duplicate_guard: false })
  assert.equal((await sandbox.call('/v2/user', goals)).status, 0)
  await sandbox.control('POST', '/limits', { requests_per_minute: 1 })
  const limited = await sandbox.call('/v2/user', goals)
  assert.equal(limited.error, 'Too Many Requests')
  await sandbox.control('POST', '/limits', { requests_per_minute: null })
  assert.equal((await sandbox.call('/v2/user', goals)).status, 0)
  const settings = { duplicate_guard: false, after_401: true, requests_per_minute: null }
  assert.deepEqual((await sandbox.control('GET', '/limits')).body, settings)
})

test('a stranger’s call meets no limit, only 401', async () => {
  await using sandbox = await start({ limits: { requestsPerMinute: 1 } })
  for (let count = 0; count < 3; count += 1) {
    assert.equal((await sandbox.post('/v2/user', goals, 'f'.repeat(40))).status, 401)
  }
  const form = { ...goals, client_id: application.clientId }
  assert.equal((await sandbox.post('/v2/user', form)).status, 401)
})

for (const wrong of [
  { duplicate_guard: 'on' },
  { after_401: 1 },
  { requests_per_minute: 0 },
  { requests_per_minute: 1.5 },
  { requests_per_second: 2 },
  { constructor: true },
]) {
  test(`the limits refuse ${JSON.stringify(wrong)} and stay as they were`, async () => {
    await using sandbox = await start({ limits: guarded })
    const before = (await sandbox.control('GET', '/limits')).body
    const mixed = { requests_per_minute: 5, ...wrong }
    assert.equal((await sandbox.control('POST', '/limits', mixed)).http, 400)
    assert.deepEqual((await sandbox.control('GET', '/limits')).body, before)
  })
}

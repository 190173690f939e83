import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allScopes, connect, type Envelope } from '../testing.ts'

const form = 'application/x-www-form-urlencoded'
const json = 'application/json'

/** Shapes that live clients send. */
const shapes: readonly (readonly [string, string, RequestInit])[] = [
  ['everything in a form', '', post(form, 'action=getmeas&category=1')],
  ['a form with a charset', '', post(`${form}; charset=UTF-8`, 'action=getmeas&category=1')],
  ['everything in JSON', '', post(json, '{"action":"getmeas","category":1}')],
  ['GET with everything in the query', '?action=getmeas&category=1', { method: 'GET' }],
  [
    'POST with everything in the query and an empty JSON body',
    '?action=getmeas&category=1',
    post(json, ''),
  ],
  ['the action in the query, the rest in a form', '?action=getmeas', post(form, 'category=1')],
  ['the same action in both places', '?action=getmeas', post(form, 'action=getmeas')],
]

for (const [what, query, init] of shapes) {
  test(`${what} is accepted`, async () => {
    await using sandbox = await connect()
    const response = await fetch(
      `${sandbox.url}/measure${query}`,
      withToken(init, sandbox.tokens.access_token),
    )
    assert.equal(response.headers.get('content-type'), 'application/json')
    assert.equal(((await response.json()) as Envelope).status, 0)
  })
}

const refusedShapes: readonly (readonly [string, string, RequestInit, number])[] = [
  ['two actions that disagree', '?action=getmeas', post(form, 'action=getactivity'), 503],
  ['query and JSON that disagree', '?action=getmeas', post(json, '{"action":"list"}'), 503],
  ['two actions in the query', '?action=getmeas&action=list', post(form, ''), 503],
  ['a category that disagrees', '?action=getmeas&category=2', post(form, 'category=1'), 503],
  ['broken JSON', '?action=getmeas', post(json, '{"action":'), 503],
  ['a JSON list', '?action=getmeas', post(json, '["getmeas"]'), 503],
  ['no action', '', post(form, 'category=1'), 2554],
  ['an action in capitals', '', post(form, 'action=GetMeas'), 2554],
  ["another service's action", '', post(form, 'action=getactivity'), 2554],
  ['a name of the prototype as action', '', post(form, 'action=constructor'), 2554],
  ['a trailing slash', '/', post(form, 'action=getmeas'), 2554],
  ['an action in a body of another type', '', post('text/plain', 'action=getmeas'), 2554],
  ['PUT', '?action=getmeas', { method: 'PUT' }, 2554],
  ['DELETE', '?action=getmeas', { method: 'DELETE' }, 2554],
]

for (const [what, query, init, status] of refusedShapes) {
  test(`${what} answers ${status}`, async () => {
    await using sandbox = await connect()
    const response = await fetch(
      `${sandbox.url}/measure${query}`,
      withToken(init, sandbox.tokens.access_token),
    )
    assert.equal(response.status, 200)
    const answer = (await response.json()) as Envelope
    assert.deepEqual([answer.status, answer.body], [status, {}])
  })
}

test('paths that do not exist upstream answer 2554', async () => {
  await using sandbox = await connect()
  for (const path of [
    '/v2/notify',
    '/v2/measures',
    '/',
    '/%6deasure',
    '//measure',
    '/constructor',
  ]) {
    assert.equal((await sandbox.call(path, { action: 'list' })).status, 2554, path)
  }
})

const invalidToken = {
  status: 401,
  body: {},
  error: 'XRequestID: Not provided invalid_token: The access token provided is invalid',
}

test('missing, unknown and malformed tokens answer the recorded 401', async () => {
  await using sandbox = await connect()
  const { access_token: token } = sandbox.tokens
  const headers = [
    '',
    'Bearer',
    `Bearer ${'f'.repeat(40)}`,
    token,
    `Basic ${token}`,
    `Bearer ${token} x`,
    `Bearer ${token},Bearer ${token}`,
  ]
  for (const authorization of headers) {
    const init = {
      method: 'POST',
      headers: { authorization },
      body: new URLSearchParams({ action: 'getmeas' }),
    }
    const response = await fetch(`${sandbox.url}/measure`, init)
    assert.equal(response.status, 200)
    assert.deepEqual(await response.json(), invalidToken, authorization)
  }
})

test('an access token dies after 3 hours with the recorded 401', async () => {
  await using sandbox = await connect()
  await sandbox.control('POST', '/clock', { advance_seconds: 10_800 })
  assert.deepEqual(await sandbox.call('/measure', { action: 'getmeas' }), invalidToken)
})

test('the legacy access_token parameter serves in query and form', async () => {
  await using sandbox = await connect()
  const { access_token } = sandbox.tokens
  const inForm = await sandbox.post('/measure', { action: 'getmeas', access_token })
  assert.equal(inForm.status, 0)
  const inQuery = await sandbox.post(`/measure?access_token=${access_token}`, { action: 'getmeas' })
  assert.equal(inQuery.status, 0)
})

test('a header and a parameter with different tokens answer 401', async () => {
  await using sandbox = await connect()
  const form = { action: 'getmeas', access_token: 'f'.repeat(40) }
  assert.equal((await sandbox.call('/measure', form)).status, 401)
})

const scopesOfActions = [
  ['/measure', { action: 'getmeas' }, ['user.metrics']],
  ['/v2/measure', { action: 'getactivity', lastupdate: 0 }, ['user.activity']],
  ['/v2/measure', { action: 'getworkouts', lastupdate: 0 }, ['user.activity']],
  ['/v2/measure', { action: 'getintradayactivity' }, ['user.activity']],
  ['/v2/sleep', { action: 'get', startdate: 1, enddate: 2 }, ['user.activity']],
  ['/v2/sleep', { action: 'getsummary', lastupdate: 0 }, ['user.activity']],
  ['/v2/measure', { action: 'confirmuser', grpid: 1, is_confirmed: 'true' }, ['user.metrics']],
  ['/v2/heart', { action: 'list' }, ['user.metrics']],
  ['/v2/heart', { action: 'get', signalid: 1 }, ['user.metrics']],
  ['/v2/stetho', { action: 'list' }, ['user.metrics']],
  ['/v2/stetho', { action: 'get', signalid: 1 }, ['user.metrics']],
  ['/v2/user', { action: 'getdevice' }, ['user.info']],
  ['/v2/user', { action: 'getgoals' }, ['user.info', 'user.metrics']],
  ['/v2/user', { action: 'link', mac_addresses: '["00:24:e4:5a:10:01"]' }, ['user.info']],
  ['/v2/user', { action: 'unlink', mac_address: '00:24:e4:5a:10:01' }, ['user.info']],
] as const

for (const scope of allScopes) {
  test(`a token with ${scope} alone reaches what that scope opens, and nothing else`, async () => {
    await using sandbox = await connect([scope])
    for (const [path, params, scopes] of scopesOfActions) {
      const isOpen = scopes.some((it) => it === scope)
      const answer = await sandbox.call(path, params)
      assert.equal(answer.status === 403, !isOpen, `${path} ${params.action}: ${answer.status}`)
      if (!isOpen) {
        assert.equal(
          answer.error,
          'XRequestID: [Not provided] - Insufficient_scope: The request requires higher privileges than provided by the access token',
        )
      }
    }
  })
}

test('a body over 1 MiB is refused with HTTP 413', async () => {
  await using sandbox = await connect()
  const response = await fetch(`${sandbox.url}/measure`, post(form, 'x'.repeat(1_048_577)))
  assert.equal(response.status, 413)
})

function post(type: string, body: string): RequestInit {
  return { method: 'POST', headers: { 'content-type': type }, body }
}

function withToken(init: RequestInit, token: string): RequestInit {
  const headers = new Headers(init.headers)
  headers.set('authorization', `Bearer ${token}`)
  return { ...init, headers }
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, refresh, start } from '../testing.ts'

type Requests = { readonly requests: readonly Readonly<Record<string, unknown>>[] }

test('every request is remembered in order, exactly as it was received', async () => {
  await using sandbox = await connect()
  await sandbox.control('DELETE', '/received')
  await fetch(`${sandbox.url}/measure?action=getmeas&a=%7e`, {
    method: 'POST',
    headers: { 'X-Mixed-Case': 'Va lue', authorization: 'Bearer nobody' },
    body: new URLSearchParams({ comment: 'Größe' }),
  })
  await fetch(`${sandbox.url}/nowhere`)
  const { requests } = (await sandbox.control('GET', '/received')).body as Requests
  const [first, second] = requests
  assert.ok(first !== undefined && second !== undefined)
  assert.deepEqual(
    [first.method, first.target, first.body, first.status],
    ['POST', '/measure?action=getmeas&a=%7e', 'comment=Gr%C3%B6%C3%9Fe', 401],
  )
  const headers = first.headers as readonly (readonly [string, string])[]
  assert.ok(headers.some(([name, value]) => /^x-mixed-case$/i.test(name) && value === 'Va lue'))
  assert.deepEqual([second.target, second.status], ['/nowhere', 2554])
  assert.equal(Number(second.n), Number(first.n) + 1)
  assert.match(String(first.at), /^\d{4}-\d\d-\d\dT/)
})

test('expiring access tokens leaves refresh tokens alive, and the other way round', async () => {
  await using first = await connect()
  await first.control('POST', '/expire', { tokens: 'access' })
  assert.equal((await first.call('/v2/user', { action: 'getgoals' })).status, 401)
  assert.equal((await refresh(first, first.tokens.refresh_token)).status, 0)
  await using second = await connect()
  await second.control('POST', '/expire', { tokens: 'refresh' })
  assert.equal((await second.call('/v2/user', { action: 'getgoals' })).status, 0)
  assert.equal((await refresh(second, second.tokens.refresh_token)).status, 503)
})

test('the state shows applications and tokens without any secret', async () => {
  await using sandbox = await connect()
  const text = JSON.stringify((await sandbox.control('GET', '/state')).body)
  assert.match(text, /client-1/)
  const { access_token, refresh_token } = sandbox.tokens
  for (const secret of ['secret-1', access_token, refresh_token]) {
    assert.ok(!text.includes(secret))
  }
})

test('an application registered through the control listener can be used', async () => {
  await using sandbox = await start()
  const uri = 'http://localhost:1/cb'
  const form = { client_id: 'late', client_secret: 's', redirect_uris: [uri] }
  assert.equal((await sandbox.control('POST', '/applications', form)).http, 200)
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: 'late',
    redirect_uri: uri,
    scope: 'user.info',
    state: 's',
  })
  assert.equal((await fetch(`${sandbox.url}/oauth2_user/authorize2?${query}`)).status, 200)
})

const badInputs: readonly (readonly [string, object])[] = [
  ['/clock', {}],
  ['/clock', { advance_seconds: -1 }],
  ['/clock', { advance_seconds: '5' }],
  ['/expire', { tokens: 'some' }],
  ['/applications', { client_id: 'x' }],
  ['/applications', { client_id: 'x', client_secret: 'y', redirect_uris: ['nowhere'] }],
  ['/faults', {}],
  ['/faults', { faults: [{ kind: 'explode' }] }],
  ['/faults', { faults: [{ kind: 'hang', times: 0 }] }],
  ['/faults', { faults: [{ kind: 'hang', paths: '/measure' }] }],
]

for (const [path, input] of badInputs) {
  test(`POST ${path} refuses ${JSON.stringify(input)}`, async () => {
    await using sandbox = await start()
    const { http, body } = await sandbox.control('POST', path, input)
    assert.equal(http, 400)
    assert.equal(typeof body.error, 'string')
  })
}

test('the control listener is not for web pages', async () => {
  await using sandbox = await start()
  const headers = { origin: 'https://evil.example' }
  assert.equal((await fetch(`${sandbox.controlUrl}/state`, { headers })).status, 403)
})

test('the API listener knows no control command', async () => {
  await using sandbox = await connect()
  assert.equal((await sandbox.call('/state', {})).status, 2554)
})

test('without a control port there is no control listener', async () => {
  await using sandbox = await start({ controlPort: null })
  assert.equal(sandbox.controlUrl, null)
})

import assert from 'node:assert/strict'
import { request } from 'node:http'
import { connect } from 'node:net'
import { after, before, beforeEach, test } from 'node:test'
import type { House } from './testing.ts'
import { openHouse } from './testing.ts'

let house: House
before(async () => {
  house = await openHouse()
  await house.grant({ id: 'grt_1', scope: 'all' })
})
after(() => house.close())
beforeEach(async () => {
  await house.control('DELETE', '/received')
  await house.control('DELETE', '/faults')
})

const call = async (path: string, init: RequestInit & { token?: string } = {}) => {
  const token = init.token ?? (await house.token())
  return await fetch(house.url + path, {
    method: 'POST',
    ...init,
    headers: { authorization: `Bearer ${token}`, ...init.headers },
  })
}
const json = { 'content-type': 'application/json' }
const post = (path: string, body: object = {}, token?: string) =>
  call(path, { body: JSON.stringify(body), headers: json, ...(token !== undefined && { token }) })
const recordsOf = async (requestId: string | null) =>
  (await house.records()).filter((record) => record.request_id === requestId)
const eventually = async <Value>(read: () => Promise<Value | undefined>): Promise<Value> => {
  for (let left = 1_500; left > 0; left -= 1) {
    const value = await read()
    if (value !== undefined) return value
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error('it never came')
}
const outcomeOf = (requestId: string) =>
  eventually(async () => (await recordsOf(requestId)).find(({ kind }) => kind === 'outcome'))

for (const path of [
  '/measure',
  '/v2/measure',
  '/v2/sleep',
  '/v2/heart',
  '/v2/user',
  '/v2/notify',
]) {
  test(`an empty JSON body reads ${path}`, async () => {
    const response = await post(path)
    const { status, body } = (await response.json()) as { status: number; body: object }
    assert.equal(response.status, 200)
    assert.equal(status, 0)
    const [list] = Object.values(body).filter(Array.isArray)
    assert.ok((list?.length ?? 0) > 0, JSON.stringify(body).slice(0, 200))
  })
}

test('an attempt and its outcome are recorded, and the answer names them', async () => {
  const response = await post('/measure')
  const text = await response.text()
  const [attempt, outcome, ...more] = await recordsOf(response.headers.get('okoro-request-id'))
  assert.equal(more.length, 0)
  assert.equal(attempt?.rule, 'measure.getmeas')
  assert.equal(attempt?.decision, 'allow')
  assert.equal(attempt?.transport, 'plain')
  assert.equal(attempt?.sandbox, true)
  assert.equal(outcome?.status, 200)
  assert.equal(outcome?.provider_status, 0)
  assert.equal(outcome?.bytes_out, Buffer.byteLength(text))
  assert.equal(outcome?.error, null)
})

test('the provider gets what was judged and the credential, and nothing of the agent’s own', async () => {
  const token = await house.token()
  await call('/measure?lastupdate=0', {
    token,
    headers: { ...json, 'x-forwarded-for': '6.6.6.6', cookie: 'a=b', 'accept-language': 'nl' },
    body: '{"meastype":1}',
  })
  const [request, ...more] = await house.received()
  assert.equal(more.length, 0)
  assert.equal(`${request?.method} ${request?.target}`, 'POST /measure')
  const parameters = new URLSearchParams(request?.body)
  assert.deepEqual([parameters.get('action'), parameters.get('meastype')], ['getmeas', '1'])
  const headers = new Map(request?.headers.map(([name, value]) => [name.toLowerCase(), value]))
  assert.match(headers.get('authorization') ?? '', /^Bearer [0-9a-f]{40}$/)
  assert.equal(headers.has('cookie') || headers.has('x-forwarded-for'), false)
  assert.equal(JSON.stringify(request).includes(token), false)
})

const denials: readonly (readonly [
  name: string,
  path: string,
  method: string,
  body: string | null,
])[] = [
  ['unlinking a device', '/v2/user', 'POST', 'action=unlink&mac_address=a'],
  ['revoking a subscription by GET', '/v2/notify?action=revoke&callbackurl=x', 'GET', null],
]
for (const [name, path, method, body] of denials) {
  test(`${name} with a read token is refused naming delete, and nothing arrives`, async () => {
    const response = await call(path, {
      ...{ method, body },
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })
    const problem = (await response.json()) as Record<string, unknown>
    assert.equal(response.status, 403)
    assert.equal(problem.error, 'insufficient_scope')
    assert.equal(problem.required_scope, 'delete')
    assert.deepEqual((problem.token_request as { scope: string }).scope, 'delete')
    assert.deepEqual(await house.received(), [])
    const [record, ...more] = await recordsOf(String(problem.request_id))
    assert.equal(more.length, 0)
    assert.equal(record?.decision, 'deny')
    assert.equal(record?.reason, 'insufficient_scope')
    assert.equal(record?.status, 403)
  })
}

test('an expired access token is refreshed once and the call goes out again', async () => {
  await house.control('POST', '/expire', { tokens: 'access' })
  await house.control('DELETE', '/received')
  const response = await post('/measure')
  assert.equal(((await response.json()) as { status: number }).status, 0)
  const targets = (await house.received()).map(({ target }) => target)
  assert.deepEqual(targets, ['/measure', '/v2/oauth2', '/measure'])
  const records = await recordsOf(response.headers.get('okoro-request-id'))
  const seen = records.map(({ kind, attempt_no, provider_status = null }) => [
    ...[kind, attempt_no, provider_status],
  ])
  assert.deepEqual(seen, [
    ['attempt', 1, null],
    ['outcome', 1, 401],
    ['attempt', 2, null],
    ['outcome', 2, 0],
  ])
})

test('calls that find the token expired together share one refresh', async () => {
  await house.control('POST', '/expire', { tokens: 'access' })
  await house.control('DELETE', '/received')
  const token = await house.token()
  const calls = Array.from({ length: 40 }, (_, index) =>
    post('/measure', { lastupdate: index }, token),
  )
  const answers = await Promise.all(calls)
  const statuses = await Promise.all(
    answers.map(async (answer) => ((await answer.json()) as { status: number }).status),
  )
  assert.deepEqual(new Set(statuses), new Set([0]))
  const refreshes = (await house.received()).filter(({ target }) => target === '/v2/oauth2')
  assert.equal(refreshes.length, 1)
})

const faults: readonly (readonly [name: string, fault: object, status: number, code: string])[] = [
  ['resets', { kind: 'reset' }, 502, 'upstream_invalid'],
  ['answers garbage', { kind: 'garbage' }, 502, 'upstream_invalid'],
]
for (const [name, fault, status, code] of faults) {
  test(`a provider that ${name} is ${code}, and the outcome says so`, async () => {
    await house.control('POST', '/faults', { faults: [{ path: '/measure', times: 1, ...fault }] })
    const response = await post('/measure')
    const problem = (await response.json()) as Record<string, unknown>
    assert.equal(response.status, status)
    assert.equal(problem.error, code)
    assert.equal(problem.may_have_arrived, true)
    assert.equal((await outcomeOf(String(problem.request_id))).error, code)
  })
}

test('an answer that breaks off reaches the agent as a broken one', async () => {
  await house.control('POST', '/faults', {
    faults: [{ path: '/measure', times: 1, kind: 'reset_midway' }],
  })
  const response = await post('/measure').catch((error: Error) => error)
  if (response instanceof Error) assert.match(response.message, /fetch failed/)
  else if (response.status === 200) await assert.rejects(response.text())
  else assert.equal(response.headers.get('okoro-error'), 'upstream_invalid')
})

test('an agent that goes away ends the call at the provider and frees its place', async () => {
  await house.control('POST', '/faults', { faults: [{ path: '/measure', kind: 'endless' }] })
  const token = await house.token()
  const before = (await house.records()).length
  const gone = new AbortController()
  const leave = async () => {
    const request = { token, signal: gone.signal, headers: json, body: '{}' }
    await call('/measure', request).catch(() => null)
  }
  // More than there are sockets to the provider: a place that is not freed would show.
  const leaving = Array.from({ length: 150 }, leave)
  await eventually(async () => {
    const records = (await house.records()).slice(before)
    return records.filter(({ kind }) => kind === 'attempt').length === 150 ? records : undefined
  })
  gone.abort()
  await Promise.all(leaving)
  const outcomes = await eventually(async () => {
    const records = (await house.records()).slice(before)
    const attempts = records.filter(({ kind }) => kind === 'attempt')
    const closed = records.filter(({ kind }) => kind === 'outcome')
    return closed.length === attempts.length && closed.length > 64 ? closed : undefined
  })
  assert.deepEqual(new Set(outcomes.map(({ error }) => error)), new Set(['client_gone']))
  await house.control('DELETE', '/faults')
  assert.equal((await post('/measure')).status, 200)
})

test('no token, a truncated one and another provider’s are 401 or 403 and never forwarded', async () => {
  const token = await house.token()
  const bare = await fetch(`${house.url}/measure`, { method: 'POST' })
  assert.equal(bare.status, 401)
  assert.match(bare.headers.get('www-authenticate') ?? '', /^Bearer/)
  const cut = await post('/measure', {}, token.slice(0, -3))
  assert.equal(cut.headers.get('okoro-error'), 'invalid_token')
  assert.deepEqual(await house.received(), [])
})

test('two Authorization headers are refused, whichever comes first', async () => {
  const token = await house.token()
  for (const authorization of [
    [`Bearer ${token}`, 'Bearer other'],
    ['Bearer other', `Bearer ${token}`],
  ]) {
    const lines = authorization.flatMap((value) => ['authorization', value])
    const headers = ['host', 'gateway.test', ...lines]
    const code = await new Promise((resolve, reject) => {
      const sent = request(`${house.url}/v2/user`, { method: 'POST', headers })
      sent.once('response', (response) => resolve(response.headers['okoro-error']))
      sent.once('error', reject)
      sent.end()
    })
    assert.equal(code, 'invalid_token')
  }
  assert.deepEqual(await house.received(), [])
})

test('an unknown provider is named as such', async () => {
  const response = await fetch(house.url.replace('withings', 'nobody'), { method: 'POST' })
  assert.equal(response.status, 404)
  assert.equal(response.headers.get('okoro-error'), 'unknown_provider')
})

test('two megabytes are refused before they are forwarded, and recorded', async () => {
  const response = await call('/measure', {
    ...{ headers: json, body: JSON.stringify({ meastype: 'x'.repeat(2_097_152) }) },
  })
  assert.equal(response.status, 413)
  const problem = (await response.json()) as Record<string, unknown>
  assert.equal(problem.limit_bytes, 1_048_576)
  const [record] = await recordsOf(String(problem.request_id))
  assert.equal(record?.reason, 'payload_too_large')
  assert.deepEqual(await house.received(), [])
})

test('a body that stops halfway is never forwarded, and recorded', async () => {
  const token = await house.token()
  const head = [
    'POST /p/withings/measure HTTP/1.1',
    'Host: gateway.test',
    `Authorization: Bearer ${token}`,
    'Content-Type: application/json',
    'Content-Length: 100',
  ]
  const before = (await house.records()).length
  await new Promise<void>((resolve) => {
    const socket = connect(house.port, '127.0.0.1', () => {
      socket.write(`${head.join('\r\n')}\r\n\r\n{"meastype":`)
      setTimeout(() => socket.destroy(), 500)
    })
    socket.on('close', () => resolve())
  })
  const records = await eventually(async () => {
    const all = await house.records()
    return all.length > before ? all.slice(before) : undefined
  })
  assert.deepEqual(
    records.map(({ decision, reason }) => [decision, reason]),
    [['deny', 'request_timeout']],
  )
  assert.deepEqual(await house.received(), [])
})

test('a revoked agent’s next call is refused, and its running one is cut', async () => {
  const own = await openHouse()
  try {
    await own.grant({ id: 'grt_1' })
    const token = await own.token()
    await own.control('POST', '/faults', { faults: [{ path: '/measure', kind: 'endless' }] })
    const send = () =>
      fetch(`${own.url}/measure`, {
        ...{ method: 'POST', body: '{}' },
        headers: { ...json, authorization: `Bearer ${token}` },
      })
    const running = await send()
    const read = running.text()
    const { db } = own.store
    await own.store.write({
      statements: [
        { query: db.updateTable('agent').set({ status: 'revoked', revoked_at: 1 }).compile() },
      ],
      ...{ records: [own.store.draft({ kind: 'agent.revoked' })], bumpsPolicy: true },
    })
    const arrived = (await own.received()).length
    assert.equal((await send()).headers.get('okoro-error'), 'invalid_token')
    assert.equal((await own.received()).length, arrived)
    await own.underWay.cutRevoked(own.verifier, {
      nowMs: Date.now(),
      policyEpoch: own.store.policyEpoch(),
    })
    await assert.rejects(read)
    await eventually(async () => (await own.records()).find(({ error }) => error === 'cut'))
  } finally {
    await own.close()
  }
})

test('a stream whose token has run out goes on in peace, and no revocation spares it', async () => {
  const own = await openHouse()
  try {
    await own.grant({ id: 'grt_1' })
    await own.control('POST', '/faults', { faults: [{ path: '/measure', kind: 'endless' }] })
    const running = await fetch(`${own.url}/measure`, {
      ...{ method: 'POST', body: '{}' },
      headers: { ...json, authorization: `Bearer ${await own.token()}` },
    })
    const reader = (running.body as ReadableStream<Uint8Array>).getReader()
    const look = () => {
      const policyEpoch = own.store.policyEpoch()
      return own.underWay.cutRevoked(own.verifier, { nowMs: Date.now() + 3_600_000, policyEpoch })
    }
    await look()
    assert.equal((await reader.read()).done, false)
    const { db } = own.store
    const query = db.updateTable('agent').set({ status: 'revoked', revoked_at: 1 }).compile()
    const records = [own.store.draft({ kind: 'agent.revoked' })]
    await own.store.write({ statements: [{ query }], records, bumpsPolicy: true })
    await look()
    await assert.rejects(async () => {
      while (!(await reader.read()).done);
    })
    await eventually(async () => (await own.records()).find(({ error }) => error === 'cut'))
  } finally {
    await own.close()
  }
})

test('a looping agent is slowed, and its refusals are counted in one record', async () => {
  const own = await openHouse({ perSecond: 1, burst: 2, concurrent: 9 })
  try {
    await own.grant({ id: 'grt_1' })
    const token = await own.token()
    const send = () =>
      fetch(`${own.url}/measure`, {
        ...{ method: 'POST', body: '{}' },
        headers: { ...json, authorization: `Bearer ${token}` },
      })
    const codes: number[] = []
    for (let round = 0; round < 12; round += 1) codes.push((await send()).status)
    assert.deepEqual(codes.slice(0, 2), [200, 200])
    assert.ok(codes.slice(2).filter((code) => code === 429).length >= 9)
    const refused = (await own.records()).filter(({ reason }) => reason === 'rate_limited')
    assert.equal(refused.length, 1)
  } finally {
    await own.close()
  }
})

test('when the log cannot be written nothing is forwarded', async () => {
  const own = await openHouse()
  await own.grant({ id: 'grt_1' })
  const token = await own.token()
  const before = (await own.received()).length
  await own.store.close()
  const response = await fetch(`${own.url}/measure`, {
    ...{ method: 'POST', body: '{}' },
    headers: { ...json, authorization: `Bearer ${token}` },
  })
  assert.equal(response.status, 503)
  assert.ok(
    ['audit_unavailable', 'store_unavailable'].includes(response.headers.get('okoro-error') ?? ''),
  )
  assert.equal((await own.received()).length, before)
  await own.close().catch(() => {})
})

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import { type ClientOptions, createClient, OkoroError, type TokenRequest } from './index.ts'

const serviceToken = 'svc_0123456789abcdefghijABCDEFGHIJ0123456789abcABCDEF'

type Seen = { readonly method: string; readonly url: string; readonly body: string } & Pick<
  IncomingMessage,
  'headers'
>
type Answer = (response: ServerResponse, seen: Seen) => void

/** A gateway of real sockets that hands out `token-1`, `token-2` … and answers calls as told. */
async function startGateway(t: TestContext, answers: { exchange?: Answer; call?: Answer } = {}) {
  const exchanges: Seen[] = []
  const calls: Seen[] = []
  const { exchange = issueToken, call = (response) => response.end('ok') } = answers
  function issueToken(response: ServerResponse): void {
    json(response, 200, { ...tokenAnswer, token: `token-${exchanges.length}` })
  }
  const server = createServer(async (request, response) => {
    const body = (await Array.fromAsync(request.setEncoding('utf8'))).join('')
    const { method = '', url = '', headers } = request
    const seen = { method, url, headers, body }
    if (url === '/t/tokens') {
      exchanges.push(seen)
      exchange(response, seen)
    } else {
      calls.push(seen)
      call(response, seen)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const client = (options: Partial<ClientOptions> = {}) =>
    createClient({ url, serviceToken, ...options })
  return { url, client, exchanges, calls }
}

const tokenAnswer = {
  token: 'token-0',
  token_type: 'Bearer',
  expires_in: 300,
  expires_at: '2026-01-01T00:05:00Z',
  provider: 'withings',
  connection: 'default',
  connection_id: 'con_1',
  scope: 'read',
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

function problem(response: ServerResponse, status: number, error: string, more: object = {}): void {
  const body = { type: 'about:blank', title: error, error, message: `It was ${error}.`, ...more }
  response.setHeader('okoro-error', error)
  json(response, status, { ...body, request_id: 'req_1' })
}

const weight = { provider: 'withings', path: '/measure', intent: 'check the weight' } as const

test('an exchange sends the service token and the request, and returns the whole answer', async (t) => {
  const gateway = await startGateway(t)
  const request: TokenRequest = { provider: 'withings', scope: 'read', intent: 'look', ttl: 60 }
  const answer = await gateway.client().exchange(request)

  assert.deepEqual(answer, { ...tokenAnswer, token: 'token-1' })
  const [seen] = gateway.exchanges
  assert.equal(seen?.method, 'POST')
  assert.equal(seen?.headers.authorization, `Bearer ${serviceToken}`)
  assert.equal(seen?.headers['content-type'], 'application/json')
  assert.deepEqual(JSON.parse(seen?.body ?? ''), request)
})

test('a call carries the operation token and no service token', async (t) => {
  const gateway = await startGateway(t)
  const answer = await gateway.client().call({ ...weight, headers: { authorization: 'mine' } })

  assert.equal(await answer.text(), 'ok')
  assert.equal(gateway.calls[0]?.headers.authorization, 'Bearer token-1')
  assert.deepEqual(JSON.parse(gateway.exchanges[0]?.body ?? ''), {
    provider: 'withings',
    scope: 'read',
    intent: 'check the weight',
  })
})

test('the body decides the method and the content type, and the caller outweighs both', async (t) => {
  const gateway = await startGateway(t)
  const { call } = gateway.client()
  await call(weight)
  await call({ ...weight, json: { action: 'getmeas' } })
  await call({ ...weight, form: { action: 'getmeas', limit: 3, raw: true } })
  await call({ ...weight, body: '<x/>', method: 'PUT', headers: { 'content-type': 'text/xml' } })
  await call({ ...weight, body: ReadableStream.from([Buffer.from('streamed')]) })

  const sent = gateway.calls.map(({ method, headers, body }) => [
    method,
    headers['content-type'],
    body,
  ])
  assert.deepEqual(sent, [
    ['GET', undefined, ''],
    ['POST', 'application/json', '{"action":"getmeas"}'],
    ['POST', 'application/x-www-form-urlencoded;charset=UTF-8', 'action=getmeas&limit=3&raw=true'],
    ['PUT', 'text/xml', '<x/>'],
    ['POST', undefined, 'streamed'],
  ])
})

test('query parameters join those of the path', async (t) => {
  const gateway = await startGateway(t)
  const { call } = gateway.client({ url: `${gateway.url}/` })
  await call({ ...weight, query: { a: '1&2', b: 'ä' } })
  await call({ ...weight, path: '/measure?action=getmeas', query: { b: 2 } })

  assert.deepEqual(
    gateway.calls.map(({ url }) => url),
    ['/p/withings/measure?a=1%262&b=%C3%A4', '/p/withings/measure?action=getmeas&b=2'],
  )
})

for (const path of [
  'measure',
  '/../t/tokens',
  '/v2/..',
  '/v2/%2E./user',
  '/./measure',
  '/..\\t',
  '/.\t./t',
  '/a b',
  '/a#b',
  '/a?b#c',
  '/v2/..?x',
]) {
  test(`the path ${JSON.stringify(path)} is refused before anything is sent`, async (t) => {
    const gateway = await startGateway(t)
    await assert.rejects(gateway.client().call({ ...weight, path }), TypeError)
    assert.equal(gateway.calls.length, 0)
  })
}

test('a provider that is no single name is refused', async (t) => {
  const gateway = await startGateway(t)
  for (const provider of ['', '..', 'a/b', 'a?b']) {
    await assert.rejects(gateway.client().call({ ...weight, provider }), TypeError)
  }
  assert.equal(gateway.calls.length, 0)
})

test('dots inside a name are part of the name', async (t) => {
  const gateway = await startGateway(t)
  await gateway.client().call({ ...weight, path: '/files/a..b/.hidden/c.?q=/../' })
  assert.equal(gateway.calls[0]?.url, '/p/withings/files/a..b/.hidden/c.?q=/../')
})

test('one token serves all calls of the same provider, scope, connection and intent', async (t) => {
  const gateway = await startGateway(t)
  const { call } = gateway.client()
  await call(weight)
  await call({ ...weight, path: '/v2/user' })
  assert.equal(gateway.exchanges.length, 1)

  await call({ ...weight, scope: 'write' })
  await call({ ...weight, connection: 'work' })
  await call({ ...weight, intent: 'something else' })
  await call({ ...weight, provider: 'trello' })
  assert.equal(gateway.exchanges.length, 5)
})

test('calls that start together share one exchange', async (t) => {
  const gateway = await startGateway(t)
  const { call } = gateway.client()
  await Promise.all(Array.from({ length: 20 }, () => call(weight)))
  assert.equal(gateway.exchanges.length, 1)
  assert.equal(gateway.calls.length, 20)
})

test('a token is renewed 60 seconds before it expires, not earlier', async (t) => {
  let nowMs = 1_000_000
  const gateway = await startGateway(t)
  const { call } = gateway.client({ now: () => nowMs })
  await call(weight)
  nowMs += 239_999
  await call(weight)
  assert.equal(gateway.exchanges.length, 1)
  nowMs += 1
  await call(weight)
  assert.equal(gateway.exchanges.length, 2)
  assert.equal(gateway.calls.at(-1)?.headers.authorization, 'Bearer token-2')
})

test('a token of 30 seconds is used for half of them', async (t) => {
  let nowMs = 0
  const gateway = await startGateway(t, {
    exchange: (response) => json(response, 200, { ...tokenAnswer, expires_in: 30 }),
  })
  const { call } = gateway.client({ now: () => nowMs })
  await call(weight)
  nowMs = 14_999
  await call(weight)
  assert.equal(gateway.exchanges.length, 1)
  nowMs = 15_000
  await call(weight)
  assert.equal(gateway.exchanges.length, 2)
})

test('a token that the gateway refuses is replaced once, and the call is sent again', async (t) => {
  const gateway = await startGateway(t, {
    call: (response, { headers }) =>
      headers.authorization === 'Bearer token-1'
        ? problem(response, 401, 'invalid_token')
        : response.end('fine'),
  })
  const answer = await gateway.client().call({ ...weight, json: { a: 1 } })
  assert.equal(await answer.text(), 'fine')
  assert.deepEqual(
    gateway.calls.map(({ body }) => body),
    ['{"a":1}', '{"a":1}'],
  )
})

test('a gateway that refuses every token is asked twice, not for ever', async (t) => {
  const gateway = await startGateway(t, {
    call: (response) => problem(response, 401, 'invalid_token'),
  })
  await assert.rejects(gateway.client().call(weight), { code: 'invalid_token', status: 401 })
  assert.equal(gateway.exchanges.length, 2)
  assert.equal(gateway.calls.length, 2)
})

test('many calls with a refused token share one renewal', async (t) => {
  const gateway = await startGateway(t, {
    call: (response, { headers }) =>
      headers.authorization === 'Bearer token-1'
        ? problem(response, 401, 'invalid_token')
        : response.end('fine'),
  })
  const { call } = gateway.client()
  await Promise.all(Array.from({ length: 10 }, () => call(weight)))
  assert.equal(gateway.exchanges.length, 2)
})

test('a streamed body is never sent twice', async (t) => {
  const gateway = await startGateway(t, {
    call: (response) => problem(response, 401, 'invalid_token'),
  })
  const { call } = gateway.client()
  const body = () => ReadableStream.from([Buffer.from('once')])
  await assert.rejects(call({ ...weight, body: body() }), { code: 'invalid_token' })
  assert.equal(gateway.calls.length, 1)
  await assert.rejects(call({ ...weight, body: body() }), { code: 'invalid_token' })
  assert.equal(gateway.exchanges.length, 2, 'the refused token is not used again')
})

test("a provider's own 401 is handed through, without a new token", async (t) => {
  const gateway = await startGateway(t, {
    call: (response) => json(response, 401, { error: 'invalid_token' }),
  })
  const answer = await gateway.client().call(weight)
  assert.equal(answer.status, 401)
  assert.deepEqual(await answer.json(), { error: 'invalid_token' })
  assert.equal(gateway.exchanges.length, 1)
  assert.equal(gateway.calls.length, 1)
})

test("a provider's redirect is handed through, not followed", async (t) => {
  const gateway = await startGateway(t, {
    call: (response) => response.writeHead(307, { location: '/t/tokens' }).end(),
  })
  const answer = await gateway.client().call({ ...weight, json: {} })
  assert.equal(answer.status, 307)
  assert.equal(gateway.exchanges.length, 1)
})

test("the gateway's refusal of a call is an OkoroError with the whole problem", async (t) => {
  const gateway = await startGateway(t, {
    call: (response) => problem(response, 403, 'insufficient_scope', { required_scope: 'delete' }),
  })
  const error = await gateway.client().call(weight).catch(Object)
  assert.ok(error instanceof OkoroError)
  assert.equal(error.code, 'insufficient_scope')
  assert.equal(error.status, 403)
  assert.equal(error.message, 'It was insufficient_scope.')
  assert.equal(error.problem?.required_scope, 'delete')
  assert.equal(error.problem?.request_id, 'req_1')
})

test('the code of a refusal without a body comes from the header', async (t) => {
  const gateway = await startGateway(t, {
    call: (response) => response.writeHead(502, { 'okoro-error': 'upstream_unreachable' }).end(),
  })
  await assert.rejects(gateway.client().call({ ...weight, method: 'HEAD' }), {
    code: 'upstream_unreachable',
    status: 502,
    problem: undefined,
  })
})

test("the gateway's refusal of an exchange is an OkoroError, and the next call asks again", async (t) => {
  const gateway = await startGateway(t, {
    exchange: (response) => problem(response, 409, 'not_connected'),
  })
  const { call } = gateway.client()
  await assert.rejects(call(weight), { code: 'not_connected', status: 409 })
  await assert.rejects(call(weight), { code: 'not_connected', status: 409 })
  assert.equal(gateway.exchanges.length, 2)
  assert.equal(gateway.calls.length, 0)
})

for (const [what, status, body] of [
  ['a page', 200, '<html>'],
  ['an error page', 502, '<html>'],
  ['null', 200, 'null'],
  ['a token with a line break', 200, JSON.stringify({ ...tokenAnswer, token: 'a\nb' })],
  ['a token without an expiry', 200, JSON.stringify({ token: 'a' })],
] as const) {
  test(`${what} in place of a token is an unexpected answer`, async (t) => {
    const gateway = await startGateway(t, {
      exchange: (response) => response.writeHead(status).end(body),
    })
    await assert.rejects(gateway.client().call(weight), { code: 'unexpected_answer', status })
  })
}

test('a caller that gives up leaves the exchange to the others', async (t) => {
  const held = Promise.withResolvers<ServerResponse>()
  const gateway = await startGateway(t, { exchange: (response) => held.resolve(response) })
  const { call } = gateway.client()
  const leaving = new AbortController()
  const [left, stayed] = [call({ ...weight, signal: leaving.signal }), call(weight)]
  const response = await held.promise
  leaving.abort()
  await assert.rejects(left, { name: 'AbortError' })
  json(response, 200, tokenAnswer)
  assert.equal((await stayed).status, 200)
  assert.equal(gateway.calls.length, 1)
})

test('a call ends when its signal does, though the provider never answers', async (t) => {
  const arrived = Promise.withResolvers<void>()
  const gateway = await startGateway(t, { call: () => arrived.resolve() })
  const leaving = new AbortController()
  const answer = gateway.client().call({ ...weight, signal: leaving.signal })
  await arrived.promise
  leaving.abort()
  await assert.rejects(answer, { name: 'AbortError' })
})

test('a call that was given up before it began asks for nothing', async (t) => {
  const gateway = await startGateway(t)
  const answer = gateway.client().call({ ...weight, signal: AbortSignal.abort() })
  await assert.rejects(answer, { name: 'AbortError' })
  assert.equal(gateway.exchanges.length, 0)
})

test('a service token that could not stand in a header is refused without being shown', () => {
  for (const bad of ['', 'svc_secret\n', 'svc_secret secret', 'svc_sécret']) {
    assert.throws(
      () => createClient({ serviceToken: bad }),
      (error) => error instanceof TypeError && !inspect(error).includes('svc_'),
    )
  }
})

test('no inspection and no error shows the service token or an operation token', async (t) => {
  const gateway = await startGateway(t, {
    call: (response) => problem(response, 403, 'outside_grant'),
  })
  const client = gateway.client()
  const refused = await client.call(weight).catch(Object)
  const gone = createClient({ url: 'http://127.0.0.1:1', serviceToken })
  const unreachable = await gone.call(weight).catch(Object)
  assert.ok(refused instanceof OkoroError)
  assert.ok(unreachable instanceof TypeError)
  const shown = inspect([client, gone, refused, unreachable], { depth: 20, showHidden: true })
  assert.doesNotMatch(shown, /svc_|token-1/)
})

test('a fetch that refuses to be called as a method, as in browsers, works', async () => {
  const fetch = async function (this: unknown): Promise<Response> {
    assert.equal(this, undefined, 'Illegal invocation')
    return Response.json(tokenAnswer)
  }
  assert.equal((await createClient({ serviceToken, fetch }).call(weight)).status, 200)
})

test('without a URL the client asks the local default', async () => {
  const asked: string[] = []
  const fetch: typeof globalThis.fetch = async (url) => {
    asked.push(String(url))
    return Response.json(tokenAnswer)
  }
  await createClient({ serviceToken, fetch }).call(weight)
  assert.deepEqual(asked, [
    'http://127.0.0.1:8420/t/tokens',
    'http://127.0.0.1:8420/p/withings/measure',
  ])
})

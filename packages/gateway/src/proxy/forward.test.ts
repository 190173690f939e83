import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { after, test } from 'node:test'
import { certificate, key } from '../connections/testing.ts'
import type { AuthorizedRequest } from '../words.ts'
import { type Answer, createUpstream, isFailure, type Upstream } from './forward.ts'
import { Hangup } from './hangup.ts'

const upstreams: Upstream[] = []
after(() => Promise.all(upstreams.map((upstream) => upstream.close())))

async function serving(listener: RequestListener, scheme = 'http'): Promise<string> {
  const tls = { key, cert: certificate }
  const server = scheme === 'http' ? createServer(listener) : createTlsServer(tls, listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  after(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  return `${scheme}://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`
}

type OwnCa = { readonly origins: ReadonlySet<string>; readonly pem: string }

function send(
  origin: string,
  waits: { firstByteMs?: number; idleMs?: number; path?: string; ownCa?: OwnCa } = {},
) {
  const { ownCa } = waits
  const upstream = createUpstream({ connectMs: 1_000, connections: 4, ...(ownCa && { ownCa }) })
  upstreams.push(upstream)
  const composed = {
    ...{ provider: 'any', agentMethod: 'POST', method: 'POST', origin, query: null },
    ...{ path: waits.path ?? '/a', headers: [], body: Buffer.from('x=1'), action: null },
  }
  const headers = [['authorization', 'Bearer real']] as const
  // The permit is forged here alone: what is tested is what the sending does with it.
  const request = { composed, query: null, headers, requestId: 'r', attemptNo: 1 }
  return upstream.forward(request as unknown as AuthorizedRequest, {
    ...{ firstByteMs: 2_000, idleMs: 2_000, ...waits },
    ...{ hangup: new Hangup(), stream: null },
  })
}

const read = (answer: Answer) =>
  new Promise<string>((resolve, reject) => {
    let text = ''
    answer.drainTo({
      chunk: (bytes) => {
        text += bytes.toString()
        return true
      },
      end: () => resolve(text),
      fail: ({ error }) => reject(new Error(error)),
    })
  })

const answered = async (sent: ReturnType<typeof send>): Promise<Answer> => {
  const answer = await sent
  if (isFailure(answer)) throw new Error(answer.error)
  return answer
}

test('an origin where nobody listens is unreachable, and the request did not arrive', async () => {
  assert.deepEqual(await send('http://127.0.0.1:1'), {
    error: 'upstream_unreachable',
    mayHaveArrived: false,
  })
})

test('a provider that hangs is a timeout, and the request may have arrived', async () => {
  const origin = await serving(() => {})
  assert.deepEqual(await send(origin, { firstByteMs: 200 }), {
    error: 'upstream_timeout',
    mayHaveArrived: true,
  })
})

test('a body that stands still fails as a timeout', async () => {
  const origin = await serving((_request, response) => void response.write('half'))
  const answer = await answered(send(origin, { idleMs: 200 }))
  await assert.rejects(read(answer), { message: 'upstream_timeout' })
})

test('a redirect is handed back, never followed', async () => {
  let calls = 0
  const origin = await serving((_request, response) => {
    calls += 1
    response.writeHead(307, { location: '/elsewhere' }).end()
  })
  const answer = await answered(send(origin))
  assert.equal(answer.status, 307)
  await read(answer)
  assert.equal(calls, 1)
})

test('the head comes as it was sent, names and doubles included', async () => {
  const origin = await serving((_request, response) => {
    response.writeHead(200, ['X-Odd-Case', 'a', 'x-odd-case', 'b']).end('ok')
  })
  const answer = await answered(send(origin))
  const raw = answer.rawHeaders
  const names = raw.filter((_, index) => index % 2 === 0)
  assert.equal(names.filter((name) => name.toLowerCase() === 'x-odd-case').length, 2)
  assert.equal(await read(answer), 'ok')
})

test('the credential and the body arrive, with a length and nothing chunked', async () => {
  const seen: string[] = []
  const origin = await serving((request, response) => {
    seen.push(String(request.headers.authorization), String(request.headers['content-length']))
    seen.push(String(request.headers['transfer-encoding']))
    response.end()
  })
  await read(await answered(send(origin)))
  assert.deepEqual(seen, ['Bearer real', '3', 'undefined'])
})

test('a certificate that nobody vouches for gets no credential', async () => {
  let calls = 0
  const origin = await serving((_request, response) => {
    calls += 1
    response.end()
  }, 'https')
  const refused = { error: 'upstream_unreachable', mayHaveArrived: false }
  assert.deepEqual(await send(origin), refused)
  const elsewhere = { origins: new Set(['https://sandbox.test']), pem: certificate }
  assert.deepEqual(await send(origin, { ownCa: elsewhere }), refused)
  assert.equal(calls, 0)
})

test('an own CA vouches for the origin that it was given for', async () => {
  const origin = await serving((_request, response) => void response.end('ok'), 'https')
  const ownCa = { origins: new Set([origin]), pem: certificate }
  assert.equal(await read(await answered(send(origin, { ownCa }))), 'ok')
})

/** A provider with one socket for us, which its first request holds, and what it has received. */
async function busy(connectMs: number) {
  const received: string[] = []
  const held = Promise.withResolvers<() => void>()
  const origin = await serving((request, response) => {
    received.push(request.url ?? '')
    if (received.length === 1) held.resolve(() => response.end())
    else response.end()
  })
  const upstream = createUpstream({ connectMs, connections: 1 })
  upstreams.push(upstream)
  const call = (path: string, more: { hangup?: Hangup; mayStart?: () => boolean } = {}) => {
    const composed = {
      ...{ provider: 'any', agentMethod: 'GET', method: 'GET', origin, path, query: null },
      ...{ headers: [], body: null, action: null },
    }
    const request = { composed, query: null, headers: [], requestId: 'r', attemptNo: 1 }
    return upstream.forward(request as unknown as AuthorizedRequest, {
      ...{ firstByteMs: 20_000, idleMs: 20_000, hangup: new Hangup(), stream: null, ...more },
    })
  }
  const first = call('/first')
  const release = async () => {
    const end = await held.promise
    end()
    const answer = await first
    if (!isFailure(answer)) await read(answer)
  }
  await held.promise
  return { call, release, received }
}

test('a call that gets no socket in time fails, and nothing of it is ever sent', async () => {
  const { call, release, received } = await busy(50)
  const failure = await call('/second')
  assert.deepEqual(failure, { error: 'upstream_timeout', mayHaveArrived: false })
  await release()
  assert.ok(!isFailure(await call('/third')))
  assert.deepEqual(received, ['/first', '/third'])
})

test('a call whose agent goes away while it waits for a socket leaves the queue', async () => {
  const { call, release, received } = await busy(20_000)
  const hangup = new Hangup()
  const waiting = call('/second', { hangup })
  hangup.happen()
  assert.ok(isFailure(await waiting))
  await release()
  assert.ok(!isFailure(await call('/third')))
  assert.deepEqual(received, ['/first', '/third'])
})

test('a call that may not start any more when its socket is there sends nothing', async () => {
  const { call, release, received } = await busy(20_000)
  const late = call('/second', { mayStart: () => false })
  await release()
  assert.ok(isFailure(await late))
  assert.ok(!isFailure(await call('/third')))
  assert.deepEqual(received, ['/first', '/third'])
})

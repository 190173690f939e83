import assert from 'node:assert/strict'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { Malfunction } from '../errors.ts'
import { createEgress, type EgressOptions } from './egress.ts'
import { certificate, key } from './testing.ts'

// Self-signed for 127.0.0.1 until 2126, trusted by nobody; the key guards nothing.
async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  after(() => {
    server.close()
    server.closeAllConnections()
  })
  return (server.address() as AddressInfo).port
}

const plain = async (answer: RequestListener) =>
  `http://127.0.0.1:${await listen(createServer(answer))}`
const tls = async (answer: RequestListener) =>
  `https://127.0.0.1:${await listen(createTlsServer({ key, cert: certificate }, answer))}`

function egressTo(origin: string, options: EgressOptions = {}) {
  const egress = createEgress({ sandboxOrigins: new Set([origin]), ...options })
  after(() => egress.close())
  return (url = `${origin}/token`) =>
    egress.fetch(url, { method: 'POST', headers: {}, body: new URLSearchParams({ a: 'b' }) })
}

const malfunction = (code: string) => (error: unknown) =>
  error instanceof Malfunction && error.code === code && error.cause === undefined

const ok: RequestListener = (_request, response) => response.end('{}')

test('a sandbox on loopback is reached over plain HTTP', async () => {
  const origin = await plain((request, response) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => response.setHeader('content-type', 'text/plain').end(body))
  })
  const answer = await egressTo(origin)()
  assert.deepEqual([answer.status, await answer.text()], [200, 'a=b'])
})

test('plain HTTP to anything that is no sandbox is never sent', async () => {
  let requests = 0
  const origin = await plain((_request, response) => {
    requests += 1
    response.end()
  })
  await assert.rejects(egressTo('http://127.0.0.1:1')(origin), malfunction('upstream_unreachable'))
  assert.equal(requests, 0)
})

test('plain HTTP to a sandbox that is not on loopback is never sent', async () => {
  const fetchSandbox = egressTo('http://sandbox.example')
  await assert.rejects(fetchSandbox(), /not reached without TLS/)
})

test('a certificate that nobody vouches for is refused', async () => {
  const origin = await tls(ok)
  await assert.rejects(egressTo(origin)(), malfunction('upstream_unreachable'))
})

test("a sandbox's own CA vouches for the sandbox, and for no other origin", async () => {
  const [sandbox, other] = [await tls(ok), await tls(ok)]
  const fetchThrough = egressTo(sandbox, { sandboxCa: certificate })
  assert.equal((await fetchThrough()).status, 200)
  await assert.rejects(fetchThrough(other), malfunction('upstream_unreachable'))
})

test('a redirect is an answer like any other: it is not followed', async () => {
  let requests = 0
  const origin = await plain((_request, response) => {
    requests += 1
    response.writeHead(307, { location: '/elsewhere' }).end()
  })
  assert.equal((await egressTo(origin)()).status, 307)
  assert.equal(requests, 1)
})

test('an answer of 64 KiB is read, one byte more is not', async () => {
  const origin = await plain((request, response) =>
    response.end('x'.repeat(Number(request.url?.slice(1)))),
  )
  const fetchSized = egressTo(origin)
  assert.equal((await (await fetchSized(`${origin}/65536`)).text()).length, 65_536)
  await assert.rejects(fetchSized(`${origin}/65537`), malfunction('upstream_invalid'))
})

test('an answer that begins and never ends is given up, like one that never begins', async () => {
  const trickling = await plain((_request, response) => {
    const timer = setInterval(() => response.write('x'), 20)
    response.on('close', () => clearInterval(timer))
  })
  const silent = await plain(() => {})
  for (const origin of [trickling, silent]) {
    const began = Date.now()
    const fetchSlow = egressTo(origin, { deadlineMs: 200 })
    await assert.rejects(fetchSlow(), malfunction('upstream_timeout'))
    assert.ok(Date.now() - began < 2_000)
  }
})

test('what cannot be parsed is named without a byte of it', async () => {
  const origin = await plain((request) => {
    request.socket.end('HTTP/1.1 200 OK\r\naccess_token=4ecret\0\r\n\r\n')
  })
  await assert.rejects(egressTo(origin)(), (error: unknown) => {
    assert.ok(malfunction('upstream_unreachable')(error))
    assert.ok(error instanceof Error && !`${error.message}${error.stack}`.includes('4ecret'))
    return true
  })
})

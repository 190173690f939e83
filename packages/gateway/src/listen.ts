import { chmod, rm } from 'node:fs/promises'
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http'
import type { Duplex } from 'node:stream'
import { Malfunction, problem, type Refusal, refuse } from './errors.ts'
import { checkFraming, passedOn, refusalOfParser } from './proxy/framing.ts'

/** What is served once a request is known to be framed in one way. */
export type Serve = (request: IncomingMessage, response: ServerResponse, requestId: string) => void

export type Door = {
  readonly serve: Serve
  readonly publicUrl: () => string
  readonly nextRequestId: () => string
}

/**
 * An HTTP/1.1 server with our own refusals in front: whatever node's parser refuses or lets slip
 * is answered with a problem from our table, and the socket is destroyed after a framing refusal.
 */
export function createDoor(door: Door): Server {
  const server = createServer({
    // A large body may take its time; one that stands still is refused by whoever reads it.
    ...{ maxHeaderSize: 16_384, headersTimeout: 10_000, requestTimeout: 300_000 },
    // A missing Host is refused by checkFraming, with our body.
    ...{ requireHostHeader: false, keepAliveTimeout: 65_000, insecureHTTPParser: false },
  })
  // Node drops header lines beyond its own limit in silence; we count and refuse.
  server.maxHeadersCount = 0
  // The parser may have read on before the refusal: what it found there is nobody's request.
  const ended = new WeakSet<Duplex>()
  const receive = (request: IncomingMessage, response: ServerResponse) => {
    if (ended.has(request.socket)) return
    // While the server closes, each connection ends with the answer that is due on it.
    if (!server.listening) response.setHeader('connection', 'close')
    const requestId = door.nextRequestId()
    const refusal = checkFraming(request) ?? checkMethod(request)
    if (refusal) {
      ended.add(request.socket)
      writeRaw(request.socket, refusal, { publicUrl: door.publicUrl(), requestId })
      return
    }
    door.serve(request, response, requestId)
  }
  server.on('request', receive)
  server.on('checkContinue', receive)
  server.on('checkExpectation', receive)
  server.on('clientError', (error: Error & { code?: string }, socket) => {
    const refusal = refusalOfParser(error)
    const context = { publicUrl: door.publicUrl(), requestId: door.nextRequestId() }
    if (refusal && socket.writable && !passedOn.has(socket)) writeRaw(socket, refusal, context)
    else socket.destroy()
  })
  const refuseTunnel = (_request: IncomingMessage, socket: Duplex) => {
    const context = { publicUrl: door.publicUrl(), requestId: door.nextRequestId() }
    writeRaw(socket, noTunnel, context)
  }
  server.on('connect', refuseTunnel)
  server.on('upgrade', refuseTunnel)
  return server
}

const noTunnel = refuse('method_not_allowed', 'CONNECT, TRACE and Upgrade are not served here.')

const checkMethod = (request: IncomingMessage): Refusal | null =>
  request.method === 'TRACE' || request.headers.upgrade !== undefined ? noTunnel : null

function writeRaw(
  socket: Duplex,
  refusal: Refusal,
  context: { readonly publicUrl: string; readonly requestId: string },
): void {
  const { status, headers, body } = problem(refusal, context)
  const lines = Object.entries({
    ...headers,
    'content-length': `${Buffer.byteLength(body)}`,
    connection: 'close',
  }).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`, () =>
    socket.destroy(),
  )
}

/** Resolves with the port. Throws Malfunction with one line that names the setting to change. */
export function listenOn(
  server: Server,
  place: { readonly host: string; readonly port: number; readonly setting: string },
): Promise<number> {
  const { host, port, setting } = place
  return new Promise((resolve, reject) => {
    server.once('error', (error: Error & { code?: string }) => {
      const why =
        error.code === 'EADDRINUSE'
          ? `Port ${port} on ${host} is taken: end what uses it or set ${setting} to another one.`
          : `Can't listen on ${host}:${port} (${setting}): ${error.message}`
      reject(new Malfunction('conflict', why))
    })
    server.listen(port, host, () => {
      const address = server.address()
      resolve(typeof address === 'object' && address ? address.port : port)
    })
  })
}

/** For this user alone (0600). A socket file that a dead process left behind is replaced. */
export async function listenOnSocket(server: Server, path: string): Promise<void> {
  await rm(path, { force: true })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, resolve)
  })
  await chmod(path, 0o600)
}

/** Ends connections as soon as they are idle and gives running ones `graceMs` to finish. */
export async function closeServer(server: Server, graceMs: number): Promise<void> {
  if (!server.listening) return
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  // Answers that had begun before did not say that their connection would end.
  const idle = setInterval(() => server.closeIdleConnections(), 100)
  server.closeIdleConnections()
  const late = setTimeout(() => server.closeAllConnections(), graceMs)
  await closed
  clearInterval(idle)
  clearTimeout(late)
}

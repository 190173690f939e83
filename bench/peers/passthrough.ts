/**
 * The yardstick: the leanest passthrough that `node:http` and undici allow, and nothing else. Raw
 * headers both ways, a small body in one piece, the answer ended with its last chunk. A process of
 * its own: `node passthrough.ts UPSTREAM_PORT`.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type Dispatcher, Pool } from 'undici'

const pool = new Pool(`http://127.0.0.1:${process.argv[2]}`, {
  ...{ connections: 64, pipelining: 1, keepAliveTimeout: 30_000 },
})

const hopByHop = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'host',
  'content-length',
])

class Passthrough implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse
  #controller: Dispatcher.DispatchController | null = null
  #left = Number.NaN

  constructor(response: ServerResponse) {
    this.#response = response
    // Without this an agent that goes away while it is paused keeps its socket of the pool.
    response.on('close', () => {
      if (!response.writableFinished) this.#controller?.abort(gone)
    })
    response.on('drain', () => this.#controller?.resume())
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    const raw = controller.rawHeaders as Buffer[]
    const headers: string[] = []
    for (let at = 0; at + 1 < raw.length; at += 2) {
      const name = raw[at]?.toString('latin1') ?? ''
      const value = raw[at + 1]?.toString('latin1') ?? ''
      const lower = name.toLowerCase()
      if (lower === 'content-length') this.#left = Number(value)
      else if (hopByHop.has(lower)) continue
      headers.push(name, value)
    }
    this.#response.writeHead(status, headers)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#left -= chunk.length
    if (this.#left === 0) this.#response.end(chunk)
    else if (!this.#response.write(chunk)) controller.pause()
  }

  onResponseEnd(): void {
    if (!this.#response.writableEnded) this.#response.end()
  }

  onResponseError(): void {
    this.#response.destroy()
  }
}

const gone = new Error('the client went away')

function forward(request: IncomingMessage, response: ServerResponse, body: Buffer | null): void {
  const { rawHeaders, method, url } = request
  const headers: string[] = []
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? ''
    if (!hopByHop.has(name.toLowerCase())) headers.push(name, rawHeaders[at + 1] ?? '')
  }
  pool.dispatch(
    { method: method as Dispatcher.HttpMethod, path: url ?? '/', headers, body },
    new Passthrough(response),
  )
}

const server = createServer((request, response) => {
  let body: Buffer | null = null
  request.on('data', (chunk: Buffer) => {
    body = body ? Buffer.concat([body, chunk]) : chunk
  })
  request.on('end', () => forward(request, response, body))
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  console.log(`listening on ${typeof address === 'object' && address ? address.port : 0}`)
})

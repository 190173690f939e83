/**
 * The load where there is no wrk: raw sockets, one request at a time on each, no HTTP library in
 * the way. A process of its own: `node client.ts JSON`, which prints a Load as JSON.
 */
import { connect, type Socket } from 'node:net'
import type { Load, LoadPlan } from './load.ts'

const { request, connections, seconds, most } = JSON.parse(process.argv[2] ?? '') as LoadPlan

const head = [
  `POST ${request.path} HTTP/1.1`,
  `host: 127.0.0.1:${request.port}`,
  ...request.headers.map(([name, value]) => `${name}: ${value}`),
  `content-length: ${Buffer.byteLength(request.body)}`,
]
const message = Buffer.from(`${head.join('\r\n')}\r\n\r\n${request.body}`)

const latenciesUs: number[] = []
let failed = 0
const startedMs = performance.now()
const isOver = () =>
  latenciesUs.length + failed >= most || performance.now() - startedMs >= seconds * 1000

/** Bytes of the whole answer; 0 while its head is not there yet. */
function wholeSize(text: string): number {
  const end = text.indexOf('\r\n\r\n')
  if (end === -1) return 0
  const length = /\r\ncontent-length: (\d+)/i.exec(text.slice(0, end + 2))?.[1]
  if (length === undefined) throw new Error('an answer without a length')
  return end + 4 + Number(length)
}

function drive(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    let sentMs = 0
    let received = ''
    const send = () => {
      received = ''
      sentMs = performance.now()
      socket.write(message)
    }
    socket.setNoDelay(true)
    socket.on('connect', send)
    socket.on('error', reject)
    socket.on('close', () => resolve())
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
      const size = wholeSize(received)
      if (size === 0 || received.length < size) return
      latenciesUs.push((performance.now() - sentMs) * 1000)
      if (!/^HTTP\/1\.1 2/.test(received)) failed += 1
      if (isOver()) socket.destroy()
      else send()
    })
  })
}

await Promise.all(
  Array.from({ length: connections }, () => drive(connect(request.port, '127.0.0.1'))),
)
latenciesUs.sort((a, b) => a - b)
const at = (part: number) => latenciesUs[Math.floor((latenciesUs.length - 1) * part)] ?? 0
const load: Load = {
  ...{ requests: latenciesUs.length, failed, seconds: (performance.now() - startedMs) / 1000 },
  ...{ p50Us: at(0.5), p99Us: at(0.99) },
}
console.log(JSON.stringify(load))

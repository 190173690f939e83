import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Refusal, refuse } from '../errors.ts'

/**
 * Reads the whole body of a request, `limit` bytes at most. `Expect: 100-continue` is answered
 * here, where it is known that the body is wanted. A client that goes away halfway is a refusal
 * too: nothing of it is forwarded.
 */
export function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  limit: number,
): Promise<Uint8Array | Refusal> {
  const declared = Number(request.headers['content-length'] ?? 0)
  if (declared > limit) return Promise.resolve(tooLarge(limit))
  if (/^100-continue$/i.test(request.headers.expect ?? '')) response.writeContinue()
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let size = 0
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= limit) chunks.push(chunk)
      else {
        request.pause()
        resolve(tooLarge(limit))
      }
    })
    request.once('end', () =>
      resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)),
    )
    const broken = () => resolve(refuse('request_timeout', 'The request did not arrive whole.'))
    request.once('error', broken)
    request.once('close', broken)
  })
}

const tooLarge = (limit: number): Refusal =>
  refuse('payload_too_large', `The body is larger than ${limit} bytes.`, { limit_bytes: limit })

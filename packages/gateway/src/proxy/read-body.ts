import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Refusal, refuse } from '../errors.ts'

/** A body of up to this many bytes, announced with its length, is held; larger ones may stream. */
const heldBytes = 65_536

/** Whether the request has a body at all (RFC 9112, section 6.3). */
export const hasBody = (request: IncomingMessage): boolean =>
  request.headers['content-length'] !== undefined || isChunked(request)

const isChunked = ({ headers }: IncomingMessage) => headers['transfer-encoding'] !== undefined

/** Null when the body is chunked; 0 when there is none. */
export const declaredLength = (request: IncomingMessage): number | null =>
  isChunked(request) ? null : Number(request.headers['content-length'] ?? 0)

/** Whether a body that nobody has to read before it is sent passes on as it arrives. */
export const isLong = (request: IncomingMessage): boolean =>
  (declaredLength(request) ?? Number.POSITIVE_INFINITY) > heldBytes

/** A refusal when more is announced than `limit` bytes. */
export const refuseLength = (request: IncomingMessage, limit: number): Refusal | null =>
  (declaredLength(request) ?? 0) > limit ? tooLarge(limit) : null

/** Answers `Expect: 100-continue`: called when it is known that the body is wanted. */
export function inviteBody(request: IncomingMessage, response: ServerResponse): void {
  const { expect } = request.headers
  if (expect !== undefined && /^100-continue$/i.test(expect)) response.writeContinue()
}

/**
 * Reads the whole body of a request, `maxBytes` at most, which may stand still for `idleMs`. A
 * client that goes away halfway is a refusal too: nothing of it is forwarded.
 */
export function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  { maxBytes, idleMs }: { readonly maxBytes: number; readonly idleMs: number },
): Uint8Array | Refusal | Promise<Uint8Array | Refusal> {
  const refusal = refuseLength(request, maxBytes)
  if (refusal) return refusal
  if (request.complete) {
    // It came together with its head, as most do.
    const bytes = (request.read() as Buffer | null) ?? nothing
    return bytes.length > maxBytes ? tooLarge(maxBytes) : bytes
  }
  inviteBody(request, response)
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let size = 0
    const late = setTimeout(() => end(tooSlow), idleMs)
    const end = (body: Uint8Array | Refusal) => {
      clearTimeout(late)
      resolve(body)
    }
    request.on('data', (chunk: Buffer) => {
      late.refresh()
      size += chunk.length
      if (size <= maxBytes) chunks.push(chunk)
      else {
        request.pause()
        end(tooLarge(maxBytes))
      }
    })
    request.once('end', () =>
      end(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)),
    )
    const broken = () => end(tooSlow)
    request.once('error', broken)
    request.once('close', broken)
  })
}

const nothing = Buffer.alloc(0)

export const tooSlow = refuse('request_timeout', 'The request did not arrive whole.')

export const tooLarge = (limit: number): Refusal =>
  refuse('payload_too_large', `The body is larger than ${limit} bytes.`, { limit_bytes: limit })

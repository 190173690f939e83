import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import type { Refusal } from '../errors.ts'
import { passedOn } from './framing.ts'
import { declaredLength, inviteBody, tooLarge, tooSlow } from './read-body.ts'

/**
 * The body of a request that is passed on while it arrives, once and in one go. Nothing is read
 * before the provider's socket asks for it; a slow reader there slows the agent. A body that
 * breaks off, stands still or grows too large ends in an error and never in an end: the provider
 * must not take a part for the whole.
 */
export class BodyStream {
  /** Bytes that the agent announced; null for a chunked body. */
  readonly length: number | null
  /** For the provider's socket. */
  readonly readable: Readable
  readonly #hash = createHash('sha256')
  #bytesSent = 0
  #digest: string | null = null
  #refusal: Refusal | null = null

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    limits: { readonly maxBytes: number; readonly idleMs: number },
  ) {
    this.length = declaredLength(request)
    this.readable = Readable.from(this.#pass({ request, response }, limits), { objectMode: false })
    // Whoever reads it hears of an error; after it was given up there is nobody left to hear.
    this.readable.on('error', () => {})
    passedOn.add(request.socket)
    response.once('close', () => passedOn.delete(request.socket))
  }

  /** Bytes handed on to the provider so far. */
  get bytesSent(): number {
    return this.#bytesSent
  }

  /** SHA-256, base64url, once the whole body has been handed on; null before. */
  get digest(): string | null {
    return this.#digest
  }

  /** Why the body ended before its end, where it was the agent's doing. */
  get refusal(): Refusal | null {
    return this.#refusal
  }

  async *#pass(
    { request, response }: { readonly request: IncomingMessage; readonly response: ServerResponse },
    { maxBytes, idleMs }: { readonly maxBytes: number; readonly idleMs: number },
  ): AsyncGenerator<Buffer> {
    inviteBody(request, response)
    const chunks: AsyncIterator<Buffer> = request.iterator({ destroyOnReturn: false })
    for (;;) {
      const next = await soon(chunks.next(), idleMs)
      if (next === 'late') throw this.#brokenOff(tooSlow)
      if (next.done) break
      if (this.#bytesSent + next.value.length > maxBytes) throw this.#brokenOff(tooLarge(maxBytes))
      this.#bytesSent += next.value.length
      this.#hash.update(next.value)
      yield next.value
    }
    this.#digest = this.#hash.digest('base64url')
  }

  #brokenOff(refusal: Refusal): Error {
    this.#refusal = refusal
    return new Error(refusal.message)
  }
}

async function soon<Value>(value: Promise<Value>, ms: number): Promise<Value | 'late'> {
  const late = Promise.withResolvers<'late'>()
  const timer = setTimeout(() => late.resolve('late'), ms)
  return await Promise.race([value, late.promise]).finally(() => clearTimeout(timer))
}

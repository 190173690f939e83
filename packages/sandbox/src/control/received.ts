import type { IncomingMessage } from 'node:http'

/** One request as it reached the API listener. */
export type Received = {
  readonly n: number
  /** RFC 3339, the machine's clock. */
  readonly at: string
  readonly method: string
  /** The request target, byte for byte. */
  readonly target: string
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string
  /** In-body status where the answer has one, else the HTTP status; null until answered. */
  status: number | null
}

const KEPT = 10_000

/** The latest 10 000 requests, in order. `n` counts on when they are cleared. */
export class ReceivedLog {
  #entries: Received[] = []
  #count = 0

  add(request: IncomingMessage, body: string, atMs: number): Received {
    this.#count += 1
    const entry = {
      n: this.#count,
      at: new Date(atMs).toISOString(),
      method: request.method ?? '',
      target: request.url ?? '',
      headers: pairs(request.rawHeaders),
      body,
      status: null,
    }
    this.#entries.push(entry)
    if (this.#entries.length > KEPT) this.#entries.shift()
    return entry
  }

  all(): readonly Received[] {
    return this.#entries
  }

  clear(): void {
    this.#entries = []
  }
}

function pairs(raw: readonly string[]): readonly (readonly [string, string])[] {
  return raw.flatMap((name, index) =>
    index % 2 === 0 ? [[name, raw[index + 1] ?? ''] as const] : [],
  )
}

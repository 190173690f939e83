import type { IncomingMessage } from 'node:http'
import type { Lines } from '../file.ts'
import type { FaultKind } from './faults.ts'
import { withoutSecrets } from './redact.ts'

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
  /** What answered instead of the service. */
  fault: FaultKind | null
}

export type Page = { readonly after: number; readonly limit: number }

/** How many are kept in memory. */
export const KEPT = 10_000

/**
 * The latest 10 000 requests, in order, and every one of them as a line where there is a file to
 * write to. `n` counts on when they are cleared, so that a gap shows what is no longer kept.
 */
export class ReceivedLog {
  readonly #lines: Pick<Lines, 'write'> | null
  #entries: readonly Received[] = []
  #fresh: Received[] = []
  #count = 0

  constructor(lines: Pick<Lines, 'write'> | null) {
    this.#lines = lines
  }

  add(
    request: Pick<IncomingMessage, 'method' | 'url' | 'rawHeaders'>,
    body: string,
    atMs: number,
  ): Received {
    this.#count += 1
    const entry: Received = {
      n: this.#count,
      at: new Date(atMs).toISOString(),
      method: request.method ?? '',
      target: request.url ?? '',
      headers: pairs(request.rawHeaders),
      body,
      status: null,
      fault: null,
    }
    this.#fresh.push(entry)
    if (this.#fresh.length > KEPT) this.#fold()
    return entry
  }

  /** Writes the line of a request. Returns once it is in the file: answers go out after it. */
  write(entry: Received): void {
    this.#lines?.write(JSON.stringify(withoutSecrets(entry)))
  }

  all(): readonly Received[] {
    this.#fold()
    return this.#entries
  }

  /** At most `limit` requests that came later than the one numbered `after`. */
  page({ after, limit }: Page): readonly Received[] {
    return this.all()
      .filter(({ n }) => n > after)
      .slice(0, limit)
  }

  clear(): void {
    this.#entries = []
    this.#fresh = []
  }

  /** Now and then instead of a shift for each request, which would move 10 000 entries every time. */
  #fold(): void {
    this.#entries = [...this.#entries, ...this.#fresh].slice(-KEPT)
    this.#fresh = []
  }
}

function pairs(raw: readonly string[]): readonly (readonly [string, string])[] {
  return raw.flatMap((name, index) =>
    index % 2 === 0 ? [[name, raw[index + 1] ?? ''] as const] : [],
  )
}

import { createHash } from 'node:crypto'

const GUARD_MS = 10_000

/** The calls of the last 10 seconds, each by a hash of who asked for what. Times in milliseconds. */
export class Recent {
  /** In the order of time, since an entry is made anew and never moved. */
  readonly #calls = new Map<string, number>()

  has(call: string, now: number): boolean {
    const at = this.#calls.get(keyOf(call))
    return at !== undefined && now - at < GUARD_MS
  }

  add(call: string, now: number): void {
    for (const [key, at] of this.#calls) {
      if (now - at < GUARD_MS) break
      this.#calls.delete(key)
    }
    this.#calls.delete(keyOf(call))
    this.#calls.set(keyOf(call), now)
  }

  forget(call: string): void {
    this.#calls.delete(keyOf(call))
  }
}

/** Calls may be a mebibyte long, and thousands may come within 10 seconds. */
function keyOf(call: string): string {
  return createHash('sha256').update(call).digest('base64')
}

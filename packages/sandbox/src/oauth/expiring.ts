/** Things that may be taken once, before their time is over. Times are epoch seconds. */
export class Expiring<T> {
  readonly #lifetimeSeconds: number
  readonly #entries = new Map<string, { readonly value: T; readonly diesAt: number }>()

  constructor(lifetimeSeconds: number) {
    this.#lifetimeSeconds = lifetimeSeconds
  }

  put(key: string, value: T, now: number): void {
    for (const [old, entry] of this.#entries) if (entry.diesAt <= now) this.#entries.delete(old)
    this.#entries.set(key, { value, diesAt: now + this.#lifetimeSeconds })
  }

  take(key: string, now: number): T | null {
    const entry = this.#entries.get(key)
    this.#entries.delete(key)
    return entry === undefined || entry.diesAt <= now ? null : entry.value
  }
}

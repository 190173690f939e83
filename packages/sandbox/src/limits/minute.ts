const MINUTE_MS = 60_000

/**
 * The requests of the last minute by application. Times in milliseconds.
 *
 * The window slides: whether the live one does is not documented, and a sliding one is the strictest
 * that 120 a minute can mean.
 */
export class Minute {
  readonly #times = new Map<string, number[]>()

  /** Seconds until another request is within the limit, 0 when it is now. */
  waitSeconds(clientId: string, limit: number, now: number): number {
    const times = this.#within(clientId, now)
    const oldestInTheWay = times[times.length - limit]
    if (oldestInTheWay === undefined) return 0
    return Math.ceil((oldestInTheWay + MINUTE_MS - now) / 1000)
  }

  add(clientId: string, now: number): void {
    this.#within(clientId, now).push(now)
  }

  #within(clientId: string, now: number): number[] {
    const times = this.#times.get(clientId) ?? []
    const firstWithin = times.findIndex((at) => now - at < MINUTE_MS)
    times.splice(0, firstWithin < 0 ? times.length : firstWithin)
    this.#times.set(clientId, times)
    return times
  }
}

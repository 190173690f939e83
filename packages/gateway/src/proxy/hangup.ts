/**
 * That a call is over before its answer is: the agent has gone, or its permission has. It tells
 * the one who listens now; what an AbortController does for many, at many times the price.
 */
export class Hangup {
  #hasHappened = false
  #listener: (() => void) | null = null

  get hasHappened(): boolean {
    return this.#hasHappened
  }

  /** Happens once. */
  happen(): void {
    if (this.#hasHappened) return
    this.#hasHappened = true
    this.#listener?.()
  }

  /** Takes the place of the listener before; is told at once when it has happened already. */
  listen(listener: () => void): void {
    this.#listener = listener
    if (this.#hasHappened) listener()
  }
}

import { inspect } from 'node:util'

const redacted = '[redacted]'

/**
 * A value that cannot be printed: String, JSON and inspect show `[redacted]`.
 * `reveal()` is called in inject, vault and connections alone; a check over the source says so.
 */
export class Secret<T> {
  readonly #value: T

  constructor(value: T) {
    this.#value = value
  }

  reveal(): T {
    return this.#value
  }

  toString(): string {
    return redacted
  }

  toJSON(): string {
    return redacted
  }

  [inspect.custom](): string {
    return redacted
  }
}

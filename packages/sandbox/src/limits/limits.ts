import { type Answer, tooManyRequests } from '../answer.ts'
import type { Caller } from './caller.ts'
import { Minute } from './minute.ts'
import { Recent } from './recent.ts'
import type { LimitSettings } from './settings.ts'

/**
 * Both meanings of 601, under the sandbox's own clock (milliseconds).
 *
 * A refused call counts neither as an earlier one nor against the minute, so that who waits as told
 * gets through. What is not documented is said in docs/sandbox.md.
 */
export class Limits {
  settings: LimitSettings
  readonly #recent = new Recent()
  readonly #minute = new Minute()

  constructor(settings: LimitSettings) {
    this.settings = settings
  }

  /** Counts the call, or answers instead of it. */
  admit({ clientId, call }: Caller, now: number): Answer | null {
    const { duplicateGuard, requestsPerMinute } = this.settings
    const isGuarded = duplicateGuard && call !== null
    if (isGuarded && this.#recent.has(call, now)) return tooManyRequests.sameArguments
    if (requestsPerMinute !== null) {
      const wait = this.#minute.waitSeconds(clientId, requestsPerMinute, now)
      if (wait > 0) return tooManyRequests.waitFor(wait)
      this.#minute.add(clientId, now)
    }
    if (isGuarded) this.#recent.add(call, now)
    return null
  }

  /** Hears how an admitted call was answered. */
  settle({ call }: Caller, { status }: Answer): void {
    if (status === 401 && call !== null && !this.settings.after401) this.#recent.forget(call)
  }
}

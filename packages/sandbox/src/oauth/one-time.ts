import type { Scope } from './scope.ts'
import type { Owner } from './tokens.ts'

/** Things that may be taken once, before their time is over. Times are epoch seconds. */
class OneTime<T> {
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

export type CodeGrant = Owner & { readonly redirectUri: string }

/** Authorization codes: 30 seconds, one use. Source: Withings developer guide, "Get your code". */
export class Codes extends OneTime<CodeGrant> {
  constructor() {
    super(30)
  }
}

/** What an application asks a person for; shown on the page until it is answered. */
export type Consent = {
  readonly clientId: string
  readonly redirectUri: string
  readonly userId: number
  readonly scopes: readonly Scope[]
  readonly state: string
}

/** Open consent pages by the id hidden in their form: 10 minutes, one use. */
export class Consents extends OneTime<Consent> {
  constructor() {
    super(600)
  }
}

/** Nonces, each bound to a client id: 30 minutes, one use. Source: "Signature v2 - Getnonce". */
export class Nonces extends OneTime<string> {
  constructor() {
    super(1800)
  }
}

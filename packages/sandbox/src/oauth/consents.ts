import { Expiring } from './expiring.ts'
import type { Scope } from './scope.ts'

/** What an application asks the person for; shown on the page until it is answered. */
export type Consent = {
  readonly clientId: string
  readonly redirectUri: string
  readonly scopes: readonly Scope[]
  readonly state: string
}

/** Open consent pages by the id hidden in their form: 10 minutes, one use. */
export class Consents extends Expiring<Consent> {
  constructor() {
    super(600)
  }
}

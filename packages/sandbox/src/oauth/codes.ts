import { Expiring } from './expiring.ts'
import type { Owner } from './tokens.ts'

export type CodeGrant = Owner & { readonly redirectUri: string }

/** Authorization codes: 30 seconds, one use. Source: Withings developer guide, "Get your code". */
export class Codes extends Expiring<CodeGrant> {
  constructor() {
    super(30)
  }
}

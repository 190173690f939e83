import { Expiring } from './expiring.ts'

/** Nonces, each bound to a client id: 30 minutes, one use. Source: "Signature v2 - Getnonce". */
export class Nonces extends Expiring<string> {
  constructor() {
    super(1800)
  }
}

import { Malfunction } from '../errors.ts'

/** `Authorization: Bearer <secret>` (RFC 6750, section 2.1). */
export function bearer(secret: string): readonly [name: string, value: string][] {
  if (!/^[\x21-\x7e]+$/.test(secret)) {
    throw new Malfunction('internal_error', 'the credential cannot stand in a header')
  }
  return [['authorization', `Bearer ${secret}`]]
}

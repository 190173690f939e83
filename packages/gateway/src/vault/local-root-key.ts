import { hash } from 'node:crypto'
import { Malfunction } from '../errors.ts'
import { Secret } from '../secret.ts'
import type { Random } from '../words.ts'
import { decrypt, encrypt, keyBytes, nonceBytes } from './aes-gcm.ts'
import { decodeBase64url } from './base64url.ts'
import type { RootKey } from './seal.ts'

/**
 * A root key that lies in this process's memory. Its id is the first 16 hex digits of
 * `SHA-256("okoro root key id" ‖ 0x00 ‖ key)`.
 */
export function localRootKey(secret: Secret<Uint8Array>, random: Random): RootKey {
  const key = secret.reveal()
  const named = Buffer.concat([Buffer.from('okoro root key id\0'), key])
  return {
    keyId: hash('sha256', named, 'hex').slice(0, 16),
    wrap: async (dataKey, associated) => encrypt({ key, associated }, random(nonceBytes), dataKey),
    unwrap: async (wrapped, associated) => decrypt({ key, associated }, wrapped),
  }
}

/**
 * Reads a root key as people write it: 32 bytes as base64, base64url or 64 hex digits, with
 * white space around. `origin` names where it came from, for the Malfunction that says that it
 * is anything else.
 */
export function parseRootKey(text: Secret<string>, origin: string): Secret<Uint8Array> {
  const written = text.reveal().trim()
  const bytes = /^[0-9a-f]{64}$/i.test(written)
    ? Buffer.from(written, 'hex')
    : decodeBase64url(written.replace(/=$/, '').replaceAll('+', '-').replaceAll('/', '_'))
  if (bytes?.length === keyBytes) return new Secret<Uint8Array>(bytes)
  throw new Malfunction(
    'internal_error',
    `${origin} holds no root key: it takes 32 bytes as base64 or as 64 hex digits. ` +
      'Make one with `openssl rand -base64 32`.',
  )
}

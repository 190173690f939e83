import { hash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { Secret } from '../secret.ts'
import type { Random } from '../words.ts'

export const serviceTokenPrefix = 'svc_'
const randomLength = 43
const checksumLength = 6
const form = new RegExp(`^${serviceTokenPrefix}[0-9A-Za-z]{${randomLength + checksumLength}}$`)

/**
 * A new service token: `svc_`, 43 random characters (256 bits), 6 of checksum. Store its hash
 * and show the token once.
 */
export function createServiceToken(random: Random): {
  readonly token: Secret<string>
  readonly hash: string
} {
  const body = serviceTokenPrefix + randomBase62(random, randomLength)
  const text = body + checksum(body)
  return { token: new Secret(text), hash: hashServiceToken(text) }
}

/** Whether a text can be a service token at all: form and checksum, without asking the database. */
export function isServiceToken(text: string): boolean {
  if (!form.test(text)) return false
  const body = text.slice(0, -checksumLength)
  return text === body + checksum(body)
}

/** Hex SHA-256: with 256 random bits inside, nothing slower protects better. */
export const hashServiceToken = (token: string): string => hash('sha256', token, 'hex')

/** CRC-32 (ISO 3309) in base62: it finds slips of the pen, and secrets in public places. */
const checksum = (body: string): string => toBase62(crc32(body), checksumLength)

const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** A whole number in base62, left-padded with `0` to `width` characters. */
export function toBase62(value: number, width: number): string {
  let text = ''
  for (let rest = value; rest > 0; rest = Math.floor(rest / 62)) text = digits[rest % 62] + text
  return text.padStart(width, '0')
}

/** `length` characters, each of the 62 equally likely: about 5.95 bits apiece. */
export function randomBase62(random: Random, length: number): string {
  let text = ''
  while (text.length < length) {
    for (const byte of random(length - text.length)) {
      // 248 = 4 × 62: beyond it the first digits would come more often.
      if (byte < 248) text += digits[byte % 62]
    }
  }
  return text
}

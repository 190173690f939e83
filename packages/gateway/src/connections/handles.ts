import { hash } from 'node:crypto'
import type { Random } from '../words.ts'

/** An id such as `con_3f…`: 96 random bits, unguessable though no secret. */
export const newId = (prefix: 'app' | 'con' | 'flw', random: Random): string =>
  `${prefix}_${Buffer.from(random(12)).toString('hex')}`

/** A capability of 256 bits, base64url: whoever holds it may use it once. */
export const newHandle = (random: Random): string => Buffer.from(random(32)).toString('base64url')

/** Hex SHA-256: all that is stored of a handle. 256 bits of randomness need no slow hash. */
export const digest = (handle: string): string => hash('sha256', handle, 'hex')

import { createCipheriv, createDecipheriv } from 'node:crypto'

export const keyBytes = 32
export const nonceBytes = 12
const tagBytes = 16

export type Lock = {
  /** `keyBytes` long. */
  readonly key: Uint8Array
  /** Authenticated, not contained: opening needs the very same bytes. */
  readonly associated: Uint8Array
}

/**
 * AES-256-GCM (NIST SP 800-38D): `nonce ‖ ciphertext ‖ tag`. The nonce is `nonceBytes` long and
 * must never be used twice with one key.
 */
export function encrypt({ key, associated }: Lock, nonce: Uint8Array, plain: Uint8Array): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes })
  cipher.setAAD(associated)
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

/** The plain bytes; null when key, associated data or any bit of the box is another. */
export function decrypt({ key, associated }: Lock, box: Uint8Array): Buffer | null {
  if (box.length < nonceBytes + tagBytes) return null
  const decipher = createDecipheriv('aes-256-gcm', key, box.subarray(0, nonceBytes), {
    authTagLength: tagBytes,
  })
  decipher.setAAD(associated)
  decipher.setAuthTag(box.subarray(-tagBytes))
  try {
    return Buffer.concat([decipher.update(box.subarray(nonceBytes, -tagBytes)), decipher.final()])
  } catch {
    return null
  }
}

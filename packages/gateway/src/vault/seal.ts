import { Malfunction } from '../errors.ts'
import { Secret } from '../secret.ts'
import { type Random, workspace } from '../words.ts'
import { decrypt, encrypt, keyBytes, nonceBytes } from './aes-gcm.ts'
import { decodeBase64url } from './base64url.ts'

/**
 * Envelope encryption at rest. Every sealed value has a data key of its own, wrapped by the root
 * key, and opens nowhere but in the place that it was sealed for.
 */

/** The key that wraps data keys. Asynchronous, so that a KMS can stand behind it. */
export type RootKey = {
  /** Names the key without giving it away; letters, digits, `-` and `_` only. */
  readonly keyId: string
  /** Encrypts a data key, bound to `associated`. */
  wrap(dataKey: Uint8Array, associated: Uint8Array): Promise<Uint8Array>
  /** The data key; null when `wrapped` or `associated` is not as it was. */
  unwrap(wrapped: Uint8Array, associated: Uint8Array): Promise<Uint8Array | null>
}

/** Where a sealed value stands: the workspace is always the one of words.ts. */
export type Place = { readonly table: string; readonly row: string; readonly column: string }

const version = 'v1'

/**
 * Seals `plain` for its place: `v1.<key id>.<wrapped data key>.<nonce ‖ ciphertext ‖ tag>`, the
 * last two in base64url. Throws when `plain` is no well-formed Unicode, which would not come back.
 */
export async function seal(
  { rootKey, random }: { readonly rootKey: RootKey; readonly random: Random },
  place: Place,
  plain: Secret<string>,
): Promise<string> {
  const text = plain.reveal()
  if (!text.isWellFormed()) throw new Malfunction('internal_error', 'A secret is no Unicode text.')
  const associated = associate(place, rootKey.keyId)
  const key = random(keyBytes)
  const box = encrypt({ key, associated }, random(nonceBytes), Buffer.from(text))
  const wrapped = Buffer.from(await rootKey.wrap(key, associated))
  return [version, rootKey.keyId, wrapped.toString('base64url'), box.toString('base64url')].join(
    '.',
  )
}

/**
 * Opens what `seal` made. Throws Malfunction `internal_error` when the text was changed, comes
 * from another place or was sealed with another root key.
 */
export async function open(
  rootKey: RootKey,
  place: Place,
  sealed: string,
): Promise<Secret<string>> {
  const [form, keyId = '', wrappedText = '', boxText = '', ...more] = sealed.split('.')
  const wrapped = decodeBase64url(wrappedText)
  const box = decodeBase64url(boxText)
  if (form !== version || wrapped === null || box === null || more.length > 0) {
    throw broken(place, 'it has not the form of a sealed value')
  }
  if (keyId !== rootKey.keyId) {
    throw broken(place, `it was sealed with key ${keyId}, at hand is ${rootKey.keyId}`)
  }
  const associated = associate(place, keyId)
  const key = await rootKey.unwrap(wrapped, associated)
  const plain = key && decrypt({ key, associated }, box)
  if (plain === null) throw broken(place, 'it was changed, or sealed for another place')
  return new Secret(plain.toString('utf8'))
}

/**
 * Unambiguous bytes for where a value stands: each part with its length in front, so that no two
 * places have the same.
 */
function associate({ table, row, column }: Place, keyId: string): Buffer {
  const parts = ['okoro seal', version, workspace, table, row, column, keyId]
  return Buffer.concat(
    parts.flatMap((part) => {
      const bytes = Buffer.from(part)
      const length = Buffer.alloc(4)
      length.writeUInt32BE(bytes.length)
      return [length, bytes]
    }),
  )
}

function broken({ table, row, column }: Place, why: string): Malfunction {
  return new Malfunction(
    'internal_error',
    `The sealed ${table} ${row} (${column}) does not open: ${why}.`,
  )
}

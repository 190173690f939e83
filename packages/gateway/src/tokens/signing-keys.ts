import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { calculateJwkThumbprint, type JWK } from 'jose'
import { Malfunction } from '../errors.ts'
import { Secret } from '../secret.ts'
import type { SigningKeyRow } from '../store/schema.ts'
import { insertSigningKey, listSigningKeys, retireSigningKeys } from '../store/signing-key.ts'
import type { Statement, Store } from '../store/store.ts'
import type { Vault } from '../vault/keys.ts'
import type { Clock } from '../words.ts'

/** How long a retired key still verifies: the longest life of a token, and a minute for clocks. */
const graceMs = 16 * 60_000
const purpose = 'operation_token'

export type SigningKey = { readonly kid: string; readonly privateKey: KeyObject }

/** The keys that operation tokens are signed with: Ed25519, named by thumbprint (RFC 7638). */
export type SigningKeys = {
  /**
   * The key to sign with, as of the policy epoch that this node knows: a write under that epoch
   * is stale once another node has rotated.
   */
  current(): Promise<SigningKey>
  /** The public key of this id; null when there is none or its tokens are all out. */
  find(kid: string): Promise<KeyObject | null>
  /** What `/.well-known/jwks.json` shows (RFC 7517). */
  publicKeys(): Promise<readonly JWK[]>
  /** Retires the current key for a new one, recorded as `key.rotated`. Returns the new id. */
  rotate(): Promise<string>
}

type Parts = { readonly store: Store; readonly vault: Vault; readonly clock: Clock }

type Verifying = { readonly jwk: JWK; readonly key: KeyObject; readonly retiredAt: number | null }

type Ring = {
  readonly policyEpoch: number
  readonly current: SigningKey
  readonly verifying: ReadonlyMap<string, Verifying>
}

/** Opens the key ring; the first start makes its first key, recorded as `key.created`. */
export async function openSigningKeys(parts: Parts): Promise<SigningKeys> {
  const { store, clock } = parts
  let ring = (await readRing(parts, null)) ?? (await beginRing(parts))
  let reading: Promise<Ring> | null = null

  const reread = () => {
    reading ??= readKnownRing(parts, ring.current).finally(() => {
      reading = null
    })
    return reading
  }
  const fresh = async () => {
    while (ring.policyEpoch < store.policyEpoch()) ring = await reread()
    return ring
  }
  const isAlive = ({ retiredAt }: Verifying) => retiredAt === null || clock() < retiredAt + graceMs

  return {
    current: async () => (await fresh()).current,
    find: async (kid) => {
      // Another node may have made it a moment ago.
      if (!ring.verifying.has(kid)) ring = await reread()
      const found = ring.verifying.get(kid)
      return found && isAlive(found) ? found.key : null
    },
    publicKeys: async () =>
      [...(await fresh()).verifying.values()].filter(isAlive).map(({ jwk }) => jwk),
    rotate: async () => {
      const { kid, statement } = await createKey(parts)
      const retires = ring.current.kid
      await store.write({
        statements: [retireSigningKeys(store.db, purpose, clock()), statement],
        records: [store.draft({ kind: 'key.rotated', key: kid, purpose, retires })],
        bumpsPolicy: true,
      })
      ring = await reread()
      return kid
    },
  }
}

async function beginRing(parts: Parts): Promise<Ring> {
  const { store } = parts
  const { kid, statement } = await createKey(parts)
  const record = store.draft({ kind: 'key.created', key: kid, purpose })
  await store.write({ statements: [statement], records: [record] })
  return readKnownRing(parts, null)
}

async function readKnownRing(parts: Parts, known: SigningKey | null): Promise<Ring> {
  const ring = await readRing(parts, known)
  if (ring) return ring
  throw new Malfunction(
    'internal_error',
    'No key to sign operation tokens with is in the database.',
  )
}

/** Null when no key was made yet. A private key that is `known` is not opened again. */
async function readRing({ store, vault }: Parts, known: SigningKey | null): Promise<Ring | null> {
  // Read first: whatever changes while the rows are read has a later epoch.
  const policyEpoch = store.policyEpoch()
  const rows = await listSigningKeys(store.db, purpose)
  const newest = rows.find((row) => row.retired_at === null)
  if (newest === undefined) return null
  const current = known?.kid === newest.id ? known : await openKey(vault, newest)
  return { policyEpoch, current, verifying: new Map(rows.map((row) => [row.id, verifying(row)])) }
}

async function openKey(vault: Vault, { id, sealed_private_key }: SigningKeyRow) {
  return { kid: id, privateKey: await vault.openPrivateKey(place(id), sealed_private_key) }
}

function verifying({ id, public_key, retired_at }: SigningKeyRow): Verifying {
  const { kty, crv, x }: JWK = JSON.parse(public_key)
  const bare = { kty: String(kty), crv: String(crv), x: String(x) }
  return {
    jwk: { ...bare, kid: id, alg: 'EdDSA', use: 'sig' },
    key: createPublicKey({ format: 'jwk', key: bare }),
    retiredAt: retired_at,
  }
}

async function createKey({
  store,
  vault,
  clock,
}: Parts): Promise<{ readonly kid: string; readonly statement: Statement }> {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const jwk = publicKey.export({ format: 'jwk' })
  const kid = await calculateJwkThumbprint(publicKey)
  const pem = new Secret(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
  const statement = insertSigningKey(store.db, {
    id: kid,
    purpose,
    public_key: JSON.stringify(jwk),
    sealed_private_key: await vault.seal(place(kid), pem),
    created_at: clock(),
  })
  return { kid, statement }
}

const place = (row: string) => ({ table: 'signing_key', row, column: 'sealed_private_key' })

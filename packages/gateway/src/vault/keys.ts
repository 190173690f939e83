import { createPrivateKey, type KeyObject } from 'node:crypto'
import { join } from 'node:path'
import { Malfunction } from '../errors.ts'
import { Secret } from '../secret.ts'
import { insertFirstRootKey, listRootKeys } from '../store/root-key.ts'
import type { RootKeyRow } from '../store/schema.ts'
import type { Store } from '../store/store.ts'
import type { Clock, Random } from '../words.ts'
import { readKeyFile, writeKeyFile } from './key-file.ts'
import { localRootKey, parseRootKey } from './local-root-key.ts'
import { open, type Place, type RootKey, seal } from './seal.ts'

/** Where the root key comes from. */
export type RootKeySource =
  /** The text of OKORO_MASTER_KEY, or of the file that OKORO_MASTER_KEY_FILE names. */
  | { readonly kind: 'given'; readonly text: Secret<string> }
  /** `master.key` in the data folder, generated at the first start. */
  | { readonly kind: 'file'; readonly dataDir: string }

export type VaultStatus = {
  readonly keyId: string
  /** When this database was first sealed with it; milliseconds since the Unix epoch. */
  readonly createdAt: number
}

/** Seals and opens what rests in the database. Opening throws Malfunction, as `open` says. */
export type Vault = {
  readonly keyId: string
  seal(place: Place, plain: Secret<string>): Promise<string>
  open(place: Place, sealed: string): Promise<Secret<string>>
  /** Opens a private key (PEM, PKCS #8) into an object that signs and shows nothing. */
  openPrivateKey(place: Place, sealed: string): Promise<KeyObject>
  status(): VaultStatus
}

/**
 * Finds the root key, or generates one into `<dataDir>/master.key`. Throws Malfunction when the
 * text is no key, when others may read the file, and when the file is missing though the
 * database was sealed with a key already: a new one would open nothing.
 */
export async function findRootKey(
  source: RootKeySource,
  { store, random }: { readonly store: Store; readonly random: Random },
): Promise<RootKey> {
  if (source.kind === 'given') {
    return localRootKey(parseRootKey(source.text, 'OKORO_MASTER_KEY'), random)
  }
  const path = join(source.dataDir, 'master.key')
  if ((await readKeyFile(path)) === null) {
    const [known] = await listRootKeys(store.db)
    if (known) throw wrongKey(known.id, `${path} is missing`)
    await writeKeyFile(path, random)
  }
  const text = await readKeyFile(path)
  if (text === null) throw new Malfunction('internal_error', `${path} vanished while starting.`)
  return localRootKey(parseRootKey(text, path), random)
}

export type VaultParts = {
  readonly store: Store
  readonly rootKey: RootKey
  readonly clock: Clock
  readonly random: Random
}

/**
 * Proves that the root key is the one that this database was sealed with; at the first start it
 * becomes that (recorded as `key.created`). Throws Malfunction when it is another one, and says
 * which is needed: a gateway with the wrong key never starts.
 */
export async function openVault(parts: VaultParts): Promise<Vault> {
  const { store, rootKey, random } = parts
  const [known] = await listRootKeys(store.db)
  const row = known ?? (await adopt(parts))
  if (row.id !== rootKey.keyId) throw wrongKey(row.id, `at hand is ${rootKey.keyId}`)
  await open(rootKey, checkPlace(row.id), row.sealed_check)
  return {
    keyId: rootKey.keyId,
    seal: (place, plain) => seal({ rootKey, random }, place, plain),
    open: (place, sealed) => open(rootKey, place, sealed),
    openPrivateKey: async (place, sealed) =>
      createPrivateKey((await open(rootKey, place, sealed)).reveal()),
    status: () => ({ keyId: rootKey.keyId, createdAt: row.created_at }),
  }
}

const checkPlace = (row: string): Place => ({
  table: 'root_key',
  row,
  column: 'sealed_check',
})

/** Makes the root key that of this database, unless another node was faster. */
async function adopt({ store, rootKey, clock, random }: VaultParts): Promise<RootKeyRow> {
  const id = rootKey.keyId
  const check = await seal({ rootKey, random }, checkPlace(id), new Secret('okoro'))
  const row = { id, sealed_check: check, created_at: clock() }
  await store.write({
    statements: [insertFirstRootKey(store.db, row)],
    records: [store.draft({ kind: 'key.created', key: id, purpose: 'root' })],
    bumpsPolicy: true,
  })
  const [known] = await listRootKeys(store.db)
  if (known) return known
  throw new Malfunction('store_unavailable', 'The root key was written but is not there.')
}

function wrongKey(neededId: string, found: string): Malfunction {
  return new Malfunction(
    'internal_error',
    `This database was sealed with root key ${neededId}; ${found}. Give the right key ` +
      'in OKORO_MASTER_KEY or OKORO_MASTER_KEY_FILE, or put the right master.key into the data ' +
      'folder (from where you keep its copy: a backup of the database does not contain it). ' +
      'Nothing was changed.',
  )
}

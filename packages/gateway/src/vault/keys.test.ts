import assert from 'node:assert/strict'
import { generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { inspect } from 'node:util'
import { Malfunction } from '../errors.ts'
import { Secret } from '../secret.ts'
import type { Store } from '../store/store.ts'
import { forEachStore } from '../store/testing.ts'
import { findRootKey, openVault, type RootKeySource } from './keys.ts'

const folder = mkdtempSync(join(tmpdir(), 'okoro-keys-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const newDataDir = () => mkdtempSync(join(folder, 'data-'))
const newGiven = (): RootKeySource => {
  return { kind: 'given', text: new Secret(randomBytes(32).toString('base64')) }
}

async function start(store: Store, source: RootKeySource) {
  const rootKey = await findRootKey(source, { store, random: randomBytes })
  return openVault({ store, rootKey, clock: () => 1_000, random: randomBytes })
}

const recordsOf = (store: Store, kind: string) =>
  store.db.selectFrom('record').select('body').where('kind', '=', kind).execute()

const place = { table: 'connection', row: 'con_1', column: 'sealed_credential' }

forEachStore(({ open, reopen }, dialect) => {
  test('the first start makes a key file and records the key', async () => {
    const store = await open()
    const dataDir = newDataDir()
    const vault = await start(store, { kind: 'file', dataDir })
    assert.ok(existsSync(join(dataDir, 'master.key')))
    assert.deepEqual(vault.status(), { keyId: vault.keyId, createdAt: 1_000 })
    const [record, ...more] = await recordsOf(store, 'key.created')
    assert.equal(more.length, 0)
    const { key, purpose } = JSON.parse(record?.body ?? '{}')
    assert.deepEqual({ key, purpose }, { key: vault.keyId, purpose: 'root' })
  })

  test('the next start opens what the first one sealed, and records no further key', async () => {
    const source: RootKeySource = { kind: 'file', dataDir: newDataDir() }
    const first = await start(await open(), source)
    const sealed = await first.seal(place, new Secret('a refresh token'))
    const store = await reopen()
    const second = await start(store, source)
    assert.equal((await second.open(place, sealed)).reveal(), 'a refresh token')
    assert.equal((await recordsOf(store, 'key.created')).length, 1)
  })

  test('another key refuses to start and names both', async () => {
    const first = await start(await open(), newGiven())
    const store = await reopen()
    const other = await findRootKey(newGiven(), { store, random: randomBytes })
    const starting = openVault({ store, rootKey: other, clock: Date.now, random: randomBytes })
    await assert.rejects(starting, (error: unknown) => {
      assert.ok(error instanceof Malfunction)
      assert.match(error.message, new RegExp(`sealed with root key ${first.keyId};`))
      assert.match(error.message, new RegExp(`at hand is ${other.keyId}\\..*OKORO_MASTER_KEY`))
      return true
    })
  })

  test('a key that only carries the right name refuses to start', async () => {
    const first = await start(await open(), newGiven())
    const store = await reopen()
    const other = await findRootKey(newGiven(), { store, random: randomBytes })
    const liar = { ...other, keyId: first.keyId }
    const starting = openVault({ store, rootKey: liar, clock: Date.now, random: randomBytes })
    await assert.rejects(starting, /root_key .* does not open/)
  })

  test('a lost key file refuses to start and is not made anew', async () => {
    const first = await start(await open(), { kind: 'file', dataDir: newDataDir() })
    const store = await reopen()
    const dataDir = newDataDir()
    await assert.rejects(start(store, { kind: 'file', dataDir }), (error: unknown) => {
      assert.ok(error instanceof Malfunction)
      assert.ok(error.message.includes(first.keyId))
      assert.ok(error.message.includes(`${join(dataDir, 'master.key')} is missing`))
      return true
    })
    assert.ok(!existsSync(join(dataDir, 'master.key')))
  })

  test('a private key opens into an object that signs and shows nothing', async () => {
    const vault = await start(await open(), newGiven())
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    const opened = await vault.openPrivateKey(place, await vault.seal(place, new Secret(pem)))
    const message = Buffer.from('a message')
    assert.ok(verify(null, message, publicKey, sign(null, message, opened)))
    assert.ok(!inspect(opened, { depth: 9 }).includes(pem.split('\n')[1] ?? pem))
  })

  // An SQLite file has one node.
  if (dialect === 'sqlite') return

  test('of two first starts with different keys one wins and the other refuses', async () => {
    const stores = [await open(), await reopen()]
    const starts = await Promise.allSettled(stores.map((store) => start(store, newGiven())))
    assert.deepEqual(starts.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    const rows = await stores[0]?.db.selectFrom('root_key').select('id').execute()
    assert.equal(rows?.length, 1)
  })
})

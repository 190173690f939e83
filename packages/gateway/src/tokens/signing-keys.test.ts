import assert from 'node:assert/strict'
import { createPublicKey, randomBytes, sign, verify } from 'node:crypto'
import { test } from 'node:test'
import { calculateJwkThumbprint } from 'jose'
import type { Store } from '../store/store.ts'
import { forEachStore } from '../store/testing.ts'
import { findRootKey, openVault } from '../vault/keys.ts'
import type { Clock } from '../words.ts'
import { openSigningKeys } from './signing-keys.ts'
import { recordsOf, rootKeyText } from './testing.ts'

async function openKeys(store: Store, clock: Clock = Date.now) {
  const source = { kind: 'given', text: rootKeyText } as const
  const rootKey = await findRootKey(source, { store, random: randomBytes })
  const vault = await openVault({ store, rootKey, clock, random: randomBytes })
  return openSigningKeys({ store, vault, clock })
}

const minute = 60_000

forEachStore(({ open, reopen }, dialect) => {
  test('the first start makes one Ed25519 key, recorded, and the next start keeps it', async () => {
    const first = await openKeys(await open())
    const store = await reopen()
    const second = await openKeys(store)
    const { kid } = await first.current()
    assert.equal((await second.current()).kid, kid)
    const created = await recordsOf(store, 'key.created')
    assert.deepEqual(
      created.map(({ key, purpose }) => [key, purpose]).filter(([, name]) => name !== 'root'),
      [[kid, 'operation_token']],
    )
  })

  test('a public key is shown under its RFC 7638 thumbprint and has no private part', async () => {
    const keys = await openKeys(await open())
    const [jwk, ...more] = await keys.publicKeys()
    assert.equal(more.length, 0)
    assert.ok(jwk)
    assert.deepEqual(Object.keys(jwk).sort(), ['alg', 'crv', 'kid', 'kty', 'use', 'x'])
    assert.equal(jwk.kid, await calculateJwkThumbprint(jwk))
    const { kid, privateKey } = await keys.current()
    assert.equal(jwk.kid, kid)
    const message = Buffer.from('signed')
    const publicKey = createPublicKey({ format: 'jwk', key: { ...jwk } })
    assert.ok(verify(null, message, publicKey, sign(null, message, privateKey)))
  })

  test('the private key is not in the database in clear', async () => {
    const store = await open()
    const { privateKey } = await (await openKeys(store)).current()
    const row = await store.db.selectFrom('signing_key').selectAll().executeTakeFirstOrThrow()
    const { d = '?' } = privateKey.export({ format: 'jwk' })
    assert.ok(!JSON.stringify(row).includes(d))
    assert.match(row.sealed_private_key, /^v1\./)
  })

  test('after a rotation the old key verifies until its tokens are out, and no longer', async () => {
    let now = 0
    const store = await open(() => now)
    const keys = await openKeys(store, () => now)
    const { kid: old } = await keys.current()
    now = minute
    const epoch = store.policyEpoch()
    const fresh = await keys.rotate()
    assert.equal((await keys.current()).kid, fresh)
    assert.ok(store.policyEpoch() > epoch)
    assert.deepEqual((await keys.publicKeys()).map(({ kid }) => kid).sort(), [old, fresh].sort())
    now = 16 * minute
    assert.ok(await keys.find(old))
    now = 17 * minute
    assert.equal(await keys.find(old), null)
    assert.deepEqual(
      (await keys.publicKeys()).map(({ kid }) => kid),
      [fresh],
    )
    const [rotated] = await recordsOf(store, 'key.rotated')
    assert.deepEqual([rotated.key, rotated.retires], [fresh, old])
  })

  test('a key id that nobody made is null', async () => {
    const keys = await openKeys(await open())
    assert.equal(await keys.find(''), null)
    assert.equal(await keys.find('constructor'), null)
  })

  // An SQLite file has one node.
  if (dialect === 'sqlite') return

  test('a key that another node made is found, and signed with once the epoch is known', async () => {
    const one = await openKeys(await open())
    const store = await reopen()
    const other = await openKeys(store)
    const { kid: old } = await other.current()
    const fresh = await one.rotate()
    assert.ok(await other.find(fresh))
    await store.write({ records: [store.draft({ kind: 'config.test' })] })
    const { kid } = await other.current()
    assert.equal(kid, fresh)
    assert.notEqual(kid, old)
  })
})

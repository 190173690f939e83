import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { Malfunction } from '../errors.ts'
import { Secret } from '../secret.ts'
import { localRootKey } from './local-root-key.ts'
import { open, type Place, seal } from './seal.ts'

const rootKey = localRootKey(new Secret(randomBytes(32)), randomBytes)
const sealing = { rootKey, random: randomBytes }
const home: Place = { table: 'connection', row: 'con_1', column: 'sealed_credential' }
const text = fc.string({ unit: 'binary' })

const isBroken = (error: unknown) =>
  error instanceof Malfunction && /does not open/.test(error.message)

suite('a sealed value', () => {
  test('opens where it was sealed', async () => {
    await fc.assert(
      fc.asyncProperty(text, async (plain) => {
        const opened = await open(rootKey, home, await seal(sealing, home, new Secret(plain)))
        assert.equal(opened.reveal(), plain)
      }),
    )
  })

  test('never looks the same twice', async () => {
    const plain = new Secret('the same')
    const both = [await seal(sealing, home, plain), await seal(sealing, home, plain)]
    const [first = [], second = []] = both.map((sealed) => sealed.split('.'))
    assert.notEqual(first[2], second[2])
    assert.notEqual(first[3], second[3])
  })

  test('opens in no other table, row or column', async () => {
    const places: readonly Place[] = [
      { ...home, table: 'application' },
      { ...home, row: 'con_2' },
      { ...home, column: 'sealed_secret' },
      // The same letters, divided in another way.
      { ...home, table: 'connectionc', row: 'on_1' },
      { ...home, row: 'con_1sealed', column: '_credential' },
    ]
    const sealed = await seal(sealing, home, new Secret('x'))
    for (const place of places) await assert.rejects(open(rootKey, place, sealed), isBroken)
  })

  test('has no two places with the same associated data', async () => {
    const place = fc.record({ table: text, row: text, column: text })
    await fc.assert(
      fc.asyncProperty(place, place, async (one, other) => {
        fc.pre(JSON.stringify(one) !== JSON.stringify(other))
        const sealed = await seal(sealing, one, new Secret('x'))
        await assert.rejects(open(rootKey, other, sealed), isBroken)
      }),
    )
  })

  test('does not open once any character was changed', async () => {
    const sealed = await seal(sealing, home, new Secret('a credential'))
    for (let index = 0; index < sealed.length; index += 1) {
      for (const other of ['A', 'B', '-', '.', '=', ' ']) {
        if (sealed[index] === other) continue
        const changed = sealed.slice(0, index) + other + sealed.slice(index + 1)
        await assert.rejects(open(rootKey, home, changed), isBroken, changed)
      }
    }
  })

  test('does not open once it was cut, down to the shortest tag that GCM knows', async () => {
    const sealed = await seal(sealing, home, new Secret('a credential'))
    const [form, keyId, wrapped = '', box = ''] = sealed.split('.')
    const cut = (part: string, bytes: number) =>
      Buffer.from(part, 'base64url').subarray(0, -bytes).toString('base64url')
    for (const bytes of [1, 4, 8, 12, 15, 16, 28, 30]) {
      const cuts = [
        [form, keyId, wrapped, cut(box, bytes)],
        [form, keyId, cut(wrapped, bytes), box],
      ]
      for (const parts of cuts) {
        await assert.rejects(open(rootKey, home, parts.join('.')), isBroken)
      }
    }
  })

  test('does not open with the data key of another value', async () => {
    const one = (await seal(sealing, home, new Secret('one'))).split('.')
    const two = (await seal(sealing, { ...home, row: 'con_2' }, new Secret('two'))).split('.')
    const swapped = [one[0], one[1], two[2], one[3]].join('.')
    await assert.rejects(open(rootKey, home, swapped), isBroken)
  })

  test('names both keys when it was sealed with another one', async () => {
    const other = localRootKey(new Secret(randomBytes(32)), randomBytes)
    const sealed = await seal(sealing, home, new Secret('x'))
    await assert.rejects(open(other, home, sealed), (error: unknown) => {
      assert.ok(isBroken(error) && error instanceof Malfunction)
      assert.match(error.message, new RegExp(`${rootKey.keyId}.*${other.keyId}`))
      return true
    })
  })

  test('does not open for a key that only carries the right name', async () => {
    const other = localRootKey(new Secret(randomBytes(32)), randomBytes)
    const liar = { ...other, keyId: rootKey.keyId }
    const sealed = await seal(sealing, home, new Secret('x'))
    await assert.rejects(open(liar, home, sealed), isBroken)
  })

  test('is refused for text that would not come back', async () => {
    await assert.rejects(seal(sealing, home, new Secret('\ud800')), Malfunction)
  })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { releaseLease, takeLease, whileHeld } from './lease.ts'
import type { Store } from './store.ts'
import { forEachStore } from './testing.ts'

const name = 'test'
const pass = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Takes it once the term before is over, by the database's clock. */
async function take(store: Store, ttlMs: number) {
  for (;;) {
    const lease = await takeLease(store, { name, ttlMs })
    if (lease) return lease
    await pass(5)
  }
}

const kinds = async (store: Store) =>
  (await store.db.selectFrom('record').select('kind').execute()).map(({ kind }) => kind)

forEachStore((stores, dialect) => {
  /** Two nodes; with SQLite, two terms of one process. */
  const openTwo = async () => {
    const first = await stores.open()
    return [first, dialect === 'sqlite' ? first : await stores.reopen()] as const
  }

  test('while a term runs nobody else has it, and not its holder a second time', async () => {
    const [first, second] = await openTwo()
    assert.ok(await takeLease(first, { name, ttlMs: 60_000 }))
    assert.equal(await takeLease(first, { name, ttlMs: 60_000 }), null)
    assert.equal(await takeLease(second, { name, ttlMs: 60_000 }), null)
    assert.ok(await takeLease(second, { name: 'another', ttlMs: 60_000 }))
  })

  test('of many who ask at once one gets it', async () => {
    const [first, second] = await openTwo()
    const asked = Array.from({ length: 20 }, (_, index) =>
      takeLease(index % 2 ? first : second, { name, ttlMs: 60_000 }),
    )
    assert.equal((await Promise.all(asked)).filter(Boolean).length, 1)
  })

  test('each term has a higher fence, and what the one before writes is refused', async () => {
    const [first, second] = await openTwo()
    const late = await take(first, 1)
    const running = await take(second, 60_000)
    assert.ok(running.fence > late.fence)
    const write = (store: Store, lease: typeof late, kind: string) =>
      store.write({ statements: [whileHeld(store, lease)], records: [store.draft({ kind })] })
    assert.deepEqual(await write(first, late, 'late'), { kind: 'unmet', statement: 0 })
    assert.equal((await write(second, running, 'running')).kind, 'done')
    assert.deepEqual(await kinds(second), ['running'])
  })

  test('a term that ran out writes nothing, though nobody came after it', async () => {
    const [store] = await openTwo()
    const over = await take(store, 1)
    await pass(20)
    const written = await store.write({
      statements: [whileHeld(store, over)],
      records: [store.draft({ kind: 'late' })],
    })
    assert.equal(written.kind, 'unmet')
    assert.deepEqual(await kinds(store), [])
  })

  test('a term that is given back is free at once, and a late one gives back nothing', async () => {
    const [first, second] = await openTwo()
    const done = await take(first, 60_000)
    await releaseLease(first, done)
    const running = await takeLease(second, { name, ttlMs: 60_000 })
    assert.equal(running?.fence, done.fence + 1)
    await releaseLease(first, done)
    assert.equal(await takeLease(first, { name, ttlMs: 60_000 }), null)
  })
})

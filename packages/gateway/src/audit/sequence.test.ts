import assert from 'node:assert/strict'
import { test } from 'node:test'
import { takeLease } from '../store/lease.ts'
import type { Store } from '../store/store.ts'
import { forEachStore } from '../store/testing.ts'
import { sequence } from './sequence.ts'

const ttlMs = 60_000

const add = (store: Store, count: number) =>
  Promise.all(
    Array.from({ length: count }, (_, index) =>
      store.write({ records: [store.draft({ kind: 'test', request_id: `r${index}` })] }),
    ),
  )

async function take(store: Store, lengthMs = ttlMs) {
  const lease = await takeLease(store, { name: 'sequencer', ttlMs: lengthMs })
  assert.ok(lease)
  return lease
}

const places = async (store: Store) => {
  const rows = await store.db
    .selectFrom('sequence')
    .select(['epoch', 'seq', 'boot', 'n'])
    .orderBy('seq')
    .execute()
  return rows.map(({ epoch, seq, boot, n }) => ({ epoch: +epoch, seq: +seq, boot, n: +n }))
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index)

forEachStore((stores, dialect) => {
  test('every record gets one place in the log, without a gap', async () => {
    const store = await stores.open()
    const lease = await take(store)
    await add(store, 50)
    await Promise.all([
      sequence(store, { lease, ttlMs }).catch(() => {}),
      sequence(store, { lease, ttlMs }).catch(() => {}),
    ])
    await sequence(store, { lease, ttlMs })
    const placed = await places(store)
    assert.deepEqual(
      placed.map(({ seq, n }) => [seq, n]),
      upTo(50).map((index) => [index, index]),
    )
    assert.ok(placed.every(({ epoch }) => epoch === 1))
  })

  test('what was placed is not looked at again, and what is new goes behind it', async () => {
    const store = await stores.open()
    const lease = await take(store)
    await add(store, 3)
    await sequence(store, { lease, ttlMs })
    assert.equal(await sequence(store, { lease, ttlMs }), 0)
    await add(store, 2)
    await sequence(store, { lease, ttlMs })
    assert.deepEqual(
      (await places(store)).map(({ seq, n }) => [seq, n]),
      upTo(5).map((index) => [index, index]),
    )
  })

  if (dialect === 'sqlite') return

  test('records of two nodes are placed by their time, each node’s in its own order', async () => {
    let timeMs = 0
    const clock = () => timeMs
    const first = await stores.open(clock)
    const second = await stores.reopen(clock)
    const lease = await take(first)
    for (const [at, store] of [
      [1_000, first],
      [3_000, first],
      [2_000, second],
      // Its clock was set back.
      [1_500, first],
    ] as const) {
      timeMs = at
      await add(store, 1)
    }
    await sequence(first, { lease, ttlMs })
    assert.deepEqual(
      (await places(first)).map(({ boot, n }) => [boot, n]),
      [
        [first.boot, 0],
        [second.boot, 0],
        [first.boot, 1],
        [first.boot, 2],
      ],
    )
  })

  test('a holder whose term is over places nothing, whatever it believes', async () => {
    const late = await stores.open()
    const next = await stores.reopen()
    const over = await take(late, 1)
    await new Promise((resolve) => setTimeout(resolve, 20))
    const running = await take(next)
    await add(late, 5)
    assert.equal(await sequence(late, { lease: over, ttlMs }), null)
    assert.deepEqual(await places(late), [])
    assert.equal(await sequence(next, { lease: running, ttlMs }), 5)
  })
})

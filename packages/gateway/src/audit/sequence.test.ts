import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Store } from '../store/store.ts'
import { forEachStore } from '../store/testing.ts'
import { closeDeadBoots, closeOwnBoot, sequence } from './sequence.ts'

const attempt = async (store: Store, requestId: string) => {
  const fields = { kind: 'attempt', request_id: requestId, attempt_no: 1, decision: 'allow' }
  const result = await store.write({ records: [store.draft(fields)] })
  return result.kind === 'done' ? (result.numbers[0] ?? -1) : -1
}
const outcome = (store: Store, requestId: string, closes: number) =>
  store.write({
    records: [store.draft({ kind: 'outcome', request_id: requestId, attempt_no: 1, closes })],
  })
const crashes = async (store: Store) => {
  const rows = await store.db.selectFrom('record').select('body').execute()
  return rows
    .map(({ body }) => JSON.parse(body))
    .filter(({ error }) => error === 'crashed')
    .map(({ request_id }) => request_id)
}

forEachStore((stores) => {
  test('attempts of a boot that died get their outcome, once, and the others none', async () => {
    const died = await stores.open()
    await outcome(died, 'done', await attempt(died, 'done'))
    await attempt(died, 'lost')
    await died.close()
    const next = await stores.reopen()
    assert.equal(await closeDeadBoots(next, Date.now), 1)
    assert.deepEqual(await crashes(next), ['lost'])
    assert.equal(await closeDeadBoots(next, Date.now), 0)
  })

  test('thousands of settled calls are not read again', async () => {
    const died = await stores.open()
    for (let round = 0; round < 4; round += 1) {
      await Promise.all(
        Array.from({ length: 400 }, async (_, index) => {
          const id = `r${round}-${index}`
          await outcome(died, id, await attempt(died, id))
        }),
      )
    }
    const boot = await died.db.selectFrom('boot').select('settled').executeTakeFirstOrThrow()
    assert.ok(Number(boot.settled) >= 2_000, `settled is ${boot.settled}`)
    await attempt(died, 'lost')
    await died.close()
    const next = await stores.reopen()
    await closeDeadBoots(next, Date.now)
    assert.deepEqual(await crashes(next), ['lost'])
  })

  test('a boot that ended in good order leaves nothing to close', async () => {
    const store = await stores.open()
    await closeOwnBoot(store, Date.now)
    await store.close()
    const next = await stores.reopen()
    assert.equal(await closeDeadBoots(next, Date.now), 0)
  })

  test('every record gets one place in the log, without a gap', async () => {
    const store = await stores.open()
    await Promise.all(Array.from({ length: 50 }, (_, index) => attempt(store, `r${index}`)))
    await Promise.all([sequence(store), sequence(store)])
    await sequence(store)
    const rows = await store.db
      .selectFrom('sequence')
      .select(['epoch', 'seq', 'n'])
      .orderBy('seq')
      .execute()
    assert.deepEqual(
      rows.map(({ seq, n }) => [Number(seq), Number(n)]),
      Array.from({ length: 50 }, (_, index) => [index, index]),
    )
    assert.ok(rows.every(({ epoch }) => Number(epoch) === 1))
  })
})

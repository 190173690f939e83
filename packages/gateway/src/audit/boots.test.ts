import assert from 'node:assert/strict'
import { test } from 'node:test'
import { takeLease } from '../store/lease.ts'
import type { Store } from '../store/store.ts'
import { forEachStore } from '../store/testing.ts'
import { closeBoot, closeDeadBoots, closeOwnBoot, finishBoot } from './boots.ts'
import { createSequencer, createSilence } from './sequencer.ts'

const attempt = async (store: Store, requestId: string) => {
  const fields = { kind: 'attempt', request_id: requestId, attempt_no: 1, decision: 'allow' }
  const result = await store.write({ records: [store.draft(fields)] })
  return result.kind === 'done' ? (result.numbers[0] ?? -1) : -1
}
const outcome = (store: Store, requestId: string, closes: number) =>
  store.write({
    records: [store.draft({ kind: 'outcome', request_id: requestId, attempt_no: 1, closes })],
  })
const bodies = async (store: Store) => {
  const rows = await store.db.selectFrom('record').select('body').execute()
  return rows.map(({ body }) => JSON.parse(body))
}
const crashes = async (store: Store) =>
  (await bodies(store)).filter(({ error }) => error === 'crashed').map((body) => body.request_id)

/** A node's sequencer that takes others for dead at once. */
const impatient = (store: Store) =>
  createSequencer({ store, onDeadBoot: () => {}, silentMs: 0, monotonic: Date.now })

forEachStore((stores, dialect) => {
  const bury = async (store: Store) => {
    if (dialect === 'sqlite') await closeDeadBoots(store)
    else await impatient(store).tick()
  }

  test('attempts of a boot that died get their outcome, once, and the others none', async () => {
    const died = await stores.open()
    await outcome(died, 'done', await attempt(died, 'done'))
    await attempt(died, 'lost')
    await died.close()
    const next = await stores.reopen()
    await bury(next)
    assert.deepEqual(await crashes(next), ['lost'])
    await bury(next)
    assert.deepEqual(await crashes(next), ['lost'])
  })

  test('after thousands of calls, those that were open all the while are closed too', async () => {
    const died = await stores.open()
    await attempt(died, 'long')
    for (let round = 0; round < 4; round += 1) {
      await Promise.all(
        Array.from({ length: 400 }, async (_, index) => {
          const id = `r${round}-${index}`
          await outcome(died, id, await attempt(died, id))
        }),
      )
    }
    const boot = await died.db.selectFrom('boot').selectAll().executeTakeFirstOrThrow()
    assert.ok(Number(boot.settled) >= 2_000, `settled is ${boot.settled}`)
    assert.ok(JSON.parse(boot.open_attempts).includes(0))
    await attempt(died, 'lost')
    await died.close()
    const next = await stores.reopen()
    await bury(next)
    assert.deepEqual(await crashes(next), ['long', 'lost'])
  })

  test('a boot that ended in good order leaves nothing to close', async () => {
    const store = await stores.open()
    await outcome(store, 'done', await attempt(store, 'done'))
    await closeOwnBoot(store)
    await store.close()
    const next = await stores.reopen()
    await bury(next)
    assert.deepEqual(await crashes(next), [])
    const open = await next.db
      .selectFrom('boot')
      .select('boot')
      .where('done_at', 'is', null)
      .execute()
    assert.deepEqual(open, [{ boot: next.boot }])
  })

  test('the leases of a boot end with it', async () => {
    const died = await stores.open()
    const lease = { name: 'test', ttlMs: 600_000 }
    assert.ok(await takeLease(died, lease))
    await died.close()
    const next = await stores.reopen()
    assert.equal(await takeLease(next, lease), null)
    await bury(next)
    assert.equal((await takeLease(next, lease))?.fence, 2)
  })

  test('an attempt gets one outcome, however often it is written', async () => {
    const store = await stores.open()
    const number = await attempt(store, 'once')
    await Promise.all([outcome(store, 'once', number), outcome(store, 'once', number)])
    await outcome(store, 'once', number)
    assert.equal((await bodies(store)).length, 2)
  })

  if (dialect === 'sqlite') return

  test('a boot that was closed by another node writes nothing any more', async () => {
    const fatal: Error[] = []
    const paused = await stores.open(Date.now, (error) => fatal.push(error))
    const number = await attempt(paused, 'call')
    const other = await stores.reopen()
    await closeBoot(other, paused, null)
    await assert.rejects(outcome(paused, 'call', number), { code: 'audit_unavailable' })
    await assert.rejects(attempt(paused, 'next'), { code: 'audit_unavailable' })
    assert.match(fatal[0]?.message ?? '', /took this one for dead/)
    await impatient(other).tick()
    assert.deepEqual(await crashes(other), ['call'])
    assert.equal((await bodies(other)).length, 2)
  })

  test('what a boot was writing while it was closed stands before, or not at all', async () => {
    for (let round = 0; round < 5; round += 1) {
      const paused = await stores.open()
      const other = await stores.reopen()
      const number = await attempt(paused, 'call')
      const [late] = await Promise.allSettled([
        outcome(paused, 'call', number),
        closeBoot(other, paused, null),
      ])
      await impatient(other).tick()
      await finishBoot(other, paused, null)
      const outcomes = (await bodies(other)).filter(({ kind }) => kind === 'outcome')
      assert.equal(outcomes.length, 1)
      assert.equal(outcomes[0].error === 'crashed', late.status === 'rejected')
    }
  })

  test('a boot is not finished before its records have their places', async () => {
    const died = await stores.open()
    await attempt(died, 'lost')
    await died.close()
    const next = await stores.reopen()
    await closeBoot(next, died, null)
    assert.equal(await finishBoot(next, died, null), 0)
    await impatient(next).tick()
    assert.deepEqual(await crashes(next), ['lost'])
  })

  test('one node at a time sequences, and another goes on at once when it ends', async () => {
    const [first, second] = [await stores.open(), await stores.reopen()]
    const [one, other] = [first, second].map((store) =>
      createSequencer({ store, onDeadBoot: () => {}, ttlMs: 60_000 }),
    )
    const placed = async () =>
      (await first.db.selectFrom('sequence').select('seq').execute()).length
    await one?.tick()
    await attempt(second, 'r')
    await other?.tick()
    assert.equal(await placed(), 0)
    await one?.close()
    await other?.tick()
    assert.equal(await placed(), 1)
  })
})

const boot = (name: string, seenAt: number) => ({ node: name, boot: 'b', seen_at: seenAt })

test('a boot is dead after unbroken silence, and a sign of life begins it anew', () => {
  const silence = createSilence(10)
  const observe = (nowMs: number, seenAt: number) =>
    silence.observe([boot('a', seenAt), boot('b', nowMs)], nowMs).map(({ node }) => node)
  assert.deepEqual(observe(0, 1), [])
  assert.deepEqual(observe(9, 1), [])
  assert.deepEqual(observe(10, 2), [])
  assert.deepEqual(observe(19, 2), [])
  assert.deepEqual(observe(20, 2), ['a'])
})

test('while the database was away nobody was silent', () => {
  const silence = createSilence(10)
  silence.observe([boot('a', 1)], 0)
  silence.forget()
  assert.deepEqual(silence.observe([boot('a', 1)], 1_000), [])
})

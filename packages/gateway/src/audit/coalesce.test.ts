import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Malfunction } from '../errors.ts'
import type { Store } from '../store/store.ts'
import { forEachStore } from '../store/testing.ts'
import { createCoalescer } from './coalesce.ts'

const refused = (agent: string, reason: string) => ({
  ...{ kind: 'token.refused', agent, reason, intent: 'read the weight' },
})

async function recordsOf(store: Store) {
  const rows = await store.db.selectFrom('record').select('body').orderBy('n').execute()
  return rows.map(({ body }) => {
    const { kind, of, agent, reason, count, first, last } = JSON.parse(body)
    return kind === 'refusals' ? { of, agent, reason, count, first, last } : { kind, agent, reason }
  })
}

/** Resolves once `holds`; fails the test after 5 s. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let left = 250; !(await holds()); left -= 1) {
    assert.ok(left > 0, 'it did not come to that')
    await sleep(20)
  }
}

forEachStore(({ open }) => {
  test('a flood of one refusal is a record and one count of all that followed', async () => {
    let now = Date.UTC(2026, 0, 1)
    const store = await open(() => now)
    const coalescer = createCoalescer({ store, clock: () => now })
    for (let count = 0; count < 100; count += 1) {
      await coalescer.record(refused('agt_1', 'invalid_request'))
      now += 10
    }
    await coalescer.close()
    const flood = { agent: 'agt_1', reason: 'invalid_request' }
    assert.deepEqual(await recordsOf(store), [
      { kind: 'token.refused', ...flood },
      {
        ...{ of: 'token.refused', ...flood, count: 99 },
        ...{ first: '2026-01-01T00:00:00.010Z', last: '2026-01-01T00:00:00.990Z' },
      },
    ])
  })

  test('another agent and another reason are records of their own, none twice', async () => {
    const store = await open()
    const coalescer = createCoalescer({ store, clock: Date.now })
    const pairs = [
      ['agt_1', 'invalid_request'],
      ['agt_2', 'invalid_request'],
      ['agt_1', 'insufficient_scope'],
    ] as const
    await Promise.all(pairs.map(([agent, reason]) => coalescer.record(refused(agent, reason))))
    await coalescer.close()
    const records = await recordsOf(store)
    assert.deepEqual(
      records.map(({ agent, reason }) => [agent, reason]),
      pairs,
    )
  })

  test('without any further refusal, what was counted is written when the window ends', async () => {
    const store = await open()
    const coalescer = createCoalescer({ store, clock: Date.now, windowMs: 40 })
    for (let count = 0; count < 3; count += 1) await coalescer.record(refused('agt_1', 'conflict'))
    await until(async () => (await recordsOf(store)).length === 2)
    assert.equal((await recordsOf(store))[1]?.count, 2)
  })

  test('after a quiet window the next refusal is a record of its own again', async () => {
    const store = await open()
    const coalescer = createCoalescer({ store, clock: Date.now, windowMs: 20 })
    await coalescer.record(refused('agt_1', 'conflict'))
    await sleep(60)
    await coalescer.record(refused('agt_1', 'conflict'))
    await coalescer.close()
    assert.deepEqual(
      (await recordsOf(store)).map(({ kind }) => kind),
      ['token.refused', 'token.refused'],
    )
  })

  test('while the log cannot be written nothing that was counted is lost', async () => {
    const store = await open()
    let isDown = false
    const failing: Store = {
      ...store,
      write: (write) =>
        isDown
          ? Promise.reject(new Malfunction('audit_unavailable', 'The disk is full.'))
          : store.write(write),
    }
    const coalescer = createCoalescer({ store: failing, clock: Date.now, windowMs: 1_500 })
    await coalescer.record(refused('agt_1', 'conflict'))
    isDown = true
    for (let count = 0; count < 5; count += 1) await coalescer.record(refused('agt_1', 'conflict'))
    await assert.rejects(coalescer.record(refused('agt_2', 'conflict')), Malfunction)
    await sleep(2_000)
    isDown = false
    await until(async () => (await recordsOf(store)).length === 2)
    assert.equal((await recordsOf(store))[1]?.count, 5)
    await coalescer.record(refused('agt_2', 'conflict'))
    assert.equal((await recordsOf(store))[2]?.agent, 'agt_2')
  })
})

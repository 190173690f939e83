import assert from 'node:assert/strict'
import { test } from 'node:test'
import { recordsOf } from '../connections/testing.ts'
import { findAgent, insertAgent, renewLease, revokeAgent } from '../store/agent.ts'
import type { Store } from '../store/store.ts'
import { forEachStore } from '../store/testing.ts'
import { createLeaseSweep, judgeLease } from './leased-agents.ts'
import { write } from './testing.ts'

const leaseMs = 30_000

/** Time goes by only when a test says so. */
function stillClock() {
  let nowMs = Date.now()
  return Object.assign(() => nowMs, {
    advance: (ms: number) => {
      nowMs += ms
    },
  })
}

const addLeased = (store: Store, nowMs: number) =>
  write(store, [
    insertAgent(store.db, {
      ...{ id: 'agt_1', name: 'run-sh-1', created_at: nowMs },
      ...{ lease_seconds: 30, lives_until: nowMs + leaseMs },
    }),
  ])
const status = async (store: Store) => (await findAgent(store.db, 'agt_1'))?.status

/** A gateway that has looked for longer than a lease, and an agent that was just created. */
async function open(store: Store, clock: ReturnType<typeof stillClock>) {
  const { sweep } = createLeaseSweep({ store, clock })
  const looks = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 1_000) {
      clock.advance(1_000)
      await sweep()
    }
  }
  await looks(leaseMs)
  await addLeased(store, clock())
  return { sweep, looks }
}

forEachStore((stores, dialect) => {
  test('an agent whose lease nobody renews is revoked, on record, under a new policy', async () => {
    const clock = stillClock()
    const store = await stores.open(clock)
    const { looks } = await open(store, clock)
    await looks(leaseMs - 1_000)
    assert.equal(await status(store), 'active')
    const before = store.policyEpoch()
    await looks(1_000)
    assert.equal(await status(store), 'revoked')
    assert.equal(store.policyEpoch(), before + 1)
    const [revoked, ...more] = await recordsOf(store, 'agent.revoked')
    assert.deepEqual([revoked?.agent, revoked?.reason, more], ['agt_1', 'lease_lapsed', []])
  })

  test('an agent whose lease is renewed, and one without a lease, live on', async () => {
    const clock = stillClock()
    const store = await stores.open(clock)
    const { looks } = await open(store, clock)
    await write(store, [insertAgent(store.db, { id: 'agt_2', name: 'coach', created_at: 0 })])
    for (let beat = 0; beat < 10; beat += 1) {
      await looks(10_000)
      await write(store, [renewLease(store.db, 'agt_1', clock() + leaseMs)])
    }
    assert.equal(await status(store), 'active')
    assert.equal((await findAgent(store.db, 'agt_2'))?.status, 'active')
  })

  test('two nodes that see the same lease lapse revoke once', async () => {
    const clock = stillClock()
    const one = await stores.open(clock)
    // One process alone has an embedded database.
    const other = dialect === 'postgres' ? await stores.reopen(clock) : one
    const sweeps = [one, other].map((store) => createLeaseSweep({ store, clock }))
    const look = () => Promise.all(sweeps.map(({ sweep }) => sweep()))
    await addLeased(one, clock())
    for (let second = 0; second < 31; second += 1) {
      clock.advance(1_000)
      await look()
    }
    assert.equal(await status(other), 'revoked')
    assert.equal((await recordsOf(one, 'agent.revoked')).length, 1)
  })

  test('a gateway that was down gives every agent one more lease from its start', async () => {
    const clock = stillClock()
    const store = await stores.open(clock)
    await addLeased(store, clock())
    clock.advance(3_600_000)
    const { sweep } = createLeaseSweep({ store, clock })
    await sweep()
    assert.equal(await status(store), 'active')
    for (let second = 0; second < 30; second += 1) {
      clock.advance(1_000)
      await sweep()
    }
    assert.equal(await status(store), 'revoked')
  })

  test('a machine that slept gives its agents one more lease, and no more', async () => {
    const clock = stillClock()
    const store = await stores.open(clock)
    const { sweep, looks } = await open(store, clock)
    clock.advance(3_600_000)
    await sweep()
    assert.equal(await status(store), 'active')
    await looks(leaseMs)
    assert.equal(await status(store), 'revoked')
  })

  test('a clock that is set back lets nobody live on for as much', async () => {
    const clock = stillClock()
    const store = await stores.open(clock)
    const { sweep, looks } = await open(store, clock)
    clock.advance(-3_600_000)
    await sweep()
    assert.equal((await findAgent(store.db, 'agt_1'))?.lives_until, clock() + leaseMs)
    await looks(leaseMs + 1_000)
    assert.equal(await status(store), 'revoked')
  })

  test('what has ended is not renewed, and a renewed lease is not ended by who saw the old one', async () => {
    const store = await stores.open()
    await addLeased(store, 0)
    await write(store, [revokeAgent(store.db, 'agt_1', 1)])
    const late = { statements: [renewLease(store.db, 'agt_1', 99_000)], records: [] }
    assert.equal((await store.write(late)).kind, 'unmet')
    assert.equal(await status(store), 'revoked')
  })
})

test('nodes whose clocks differ by less than a lease leave each other’s agents alone', () => {
  const agent = { id: 'agt_1', name: 'run-sh-1', lease_seconds: 30, lives_until: 1_000_000 }
  const at = (nowMs: number) => judgeLease(agent, { nowMs, lookingSince: 0 })
  assert.deepEqual([1_000_000 - 59_000, 999_999, 1_000_000].map(at), ['alive', 'alive', 'lapsed'])
  assert.equal(at(1_000_000 - 61_000), 'beyond')
})

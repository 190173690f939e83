import {
  type LeasedAgent,
  listLeasedAgents,
  renewLease,
  revokeLapsedAgent,
} from '../store/agent.ts'
import type { Store } from '../store/store.ts'
import type { Clock } from '../words.ts'

/** Ends agents that were given a lease on life when nobody renews it. */
export type LeaseSweep = {
  /** One look at all of them; rejects when the database can't be read or written. */
  sweep(): Promise<void>
}

/** Looks that lie further apart, or go backwards, show that this process or its clock stood still. */
const longestGapMs = 5_000

/**
 * Any node may sweep: the write is conditional on the lease that was read, so that it happens once
 * and never to an agent whose lease was renewed meanwhile.
 *
 * A lease that could not be renewed has not lapsed. So nothing ends within the first lease after
 * this process began to look, and after a gap (a suspended machine, a database that was away, a
 * clock that was set) it begins anew.
 */
export function createLeaseSweep({
  store,
  clock,
}: {
  readonly store: Store
  readonly clock: Clock
}): LeaseSweep {
  let lookingSince = clock()
  let lastLook = lookingSince
  return {
    sweep: async () => {
      const nowMs = clock()
      const agents = await listLeasedAgents(store.db)
      if (nowMs < lastLook || nowMs - lastLook > longestGapMs) lookingSince = nowMs
      for (const agent of agents) {
        const state = judgeLease(agent, { nowMs, lookingSince })
        if (state === 'lapsed') await end(store, agent, nowMs)
        if (state === 'beyond') await shorten(store, agent, nowMs)
      }
      // Only now: a look that failed counts as none.
      lastLook = nowMs
    },
  }
}

/**
 * `beyond`: no renewal reaches that far. The clock was set back since, and a process that died
 * before would have its agent live on for as much.
 */
export function judgeLease(
  { lease_seconds: leaseSeconds, lives_until: livesUntil }: LeasedAgent,
  { nowMs, lookingSince }: { readonly nowMs: number; readonly lookingSince: number },
): 'alive' | 'lapsed' | 'beyond' {
  const leaseMs = leaseSeconds * 1000
  // Twice: clocks of several nodes differ a little.
  if (livesUntil > nowMs + 2 * leaseMs) return 'beyond'
  return livesUntil <= nowMs && lookingSince + leaseMs <= nowMs ? 'lapsed' : 'alive'
}

async function end(store: Store, agent: LeasedAgent, nowMs: number): Promise<void> {
  const fields = { agent: agent.id, agent_name: agent.name, reason: 'lease_lapsed' }
  await store.write({
    statements: [revokeLapsedAgent(store.db, agent, nowMs)],
    records: [store.draft({ kind: 'agent.revoked', ...fields })],
    bumpsPolicy: true,
  })
}

async function shorten(store: Store, agent: LeasedAgent, nowMs: number): Promise<void> {
  const livesUntil = nowMs + agent.lease_seconds * 1000
  await store.write({ statements: [renewLease(store.db, agent.id, livesUntil)], records: [] })
}

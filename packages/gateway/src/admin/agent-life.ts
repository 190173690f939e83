import { z } from 'zod'
import { type Refusal, refuse } from '../errors.ts'
import { renewLease, revokeAgent } from '../store/agent.ts'
import type { AgentRow } from '../store/schema.ts'
import { timeOf } from './answer.ts'
import type { AdminDeps } from './deps.ts'
import type { Plan } from './plan.ts'

/** Seconds that an agent lives on after each renewal. */
export const leaseInput = z.int().min(5).max(3600)

/** How long an agent is there, as this API shows it; both null: for good. */
export const leaseView = (agent: Pick<AgentRow, 'lease_seconds' | 'lives_until'>) => ({
  lease_seconds: agent.lease_seconds,
  lives_until: timeOf(agent.lives_until),
})

/** The columns of a new agent's lease. */
export const newLease = (leaseSeconds: number | undefined, nowMs: number) =>
  leaseSeconds === undefined
    ? { lease_seconds: null, lives_until: null }
    : { lease_seconds: leaseSeconds, lives_until: nowMs + leaseSeconds * 1000 }

/** Lets a leased agent live on for one more lease from now. Not recorded: nothing changes. */
export function planRenewal({ store, clock }: AdminDeps, agent: AgentRow): Plan<object> | Refusal {
  if (agent.lease_seconds === null) return hasNoLease(agent.name)
  const { lease_seconds, lives_until } = newLease(agent.lease_seconds, clock())
  return {
    write: { statements: [renewLease(store.db, agent.id, lives_until ?? 0)], records: [] },
    answer: { ...viewOf(agent), ...leaseView({ lease_seconds, lives_until }) },
    unmet: isRevoked(agent.name),
  }
}

/** Gives the lease back: whoever renewed it needs the agent no more. */
export const planLeaseEnd = (deps: AdminDeps, agent: AgentRow): Plan<object> | Refusal =>
  agent.lease_seconds === null ? hasNoLease(agent.name) : planRevocation(deps, agent, 'lease_ended')

/** Ends an agent with all its tokens, at once and for good (P8). */
export function planRevocation(
  { store, clock }: AdminDeps,
  agent: AgentRow,
  reason: 'lease_ended' | null = null,
): Plan<object> {
  const nowMs = clock()
  const fields = { kind: 'agent.revoked', agent: agent.id, agent_name: agent.name, reason }
  return {
    write: {
      statements: [revokeAgent(store.db, agent.id, nowMs)],
      records: [store.draft(fields)],
      bumpsPolicy: true,
    },
    answer: { ...viewOf(agent), status: 'revoked', revoked_at: timeOf(nowMs) },
    unmet: isRevoked(agent.name),
  }
}

const viewOf = ({ id, name, status, created_at, revoked_at }: AgentRow) => ({
  ...{ id, name, status, created_at: timeOf(created_at), revoked_at: timeOf(revoked_at) },
})

export const isRevoked = (name: string): Refusal =>
  refuse('conflict', `The agent "${name}" was revoked, which is for good; create another one.`)

const hasNoLease = (name: string): Refusal =>
  refuse('conflict', `The agent "${name}" has no lease: it is there until it is revoked.`)

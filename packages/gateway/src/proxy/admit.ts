import { type Refusal, refuse } from '../errors.ts'
import type { Clock } from '../words.ts'

export type AgentLimits = {
  /** Calls per second that an agent may go on making. */
  readonly perSecond: number
  /** Calls that it may make at once after a rest. */
  readonly burst: number
  /** Calls under way at the same time. */
  readonly concurrent: number
}

type Account = { units: number; at: number; running: number }

export type Admitted = { readonly release: () => void }

/**
 * An agent's own limits, judged before anything durable is written: a looping agent must not fill
 * the log. `admit` returns a refusal, or a release that is called once when the call is over.
 */
export function createAdmission(limits: AgentLimits, clock: Clock) {
  const accounts = new Map<string, Account>()
  const account = (agentId: string): Account => {
    const now = clock()
    const known = accounts.get(agentId) ?? { units: limits.burst, at: now, running: 0 }
    const earned = ((now - known.at) / 1000) * limits.perSecond
    known.units = Math.min(limits.burst, known.units + Math.max(0, earned))
    known.at = now
    accounts.set(agentId, known)
    return known
  }
  const sweep = () => {
    for (const [id, one] of accounts) if (one.running === 0) accounts.delete(id)
  }
  return (agentId: string): Admitted | Refusal => {
    if (accounts.size > maxAccounts) sweep()
    const own = account(agentId)
    if (own.running >= limits.concurrent) {
      return limited(`more than ${limits.concurrent} calls under way`, 1)
    }
    if (own.units < 1) {
      const seconds = Math.ceil((1 - own.units) / limits.perSecond)
      return limited(`more than ${limits.perSecond} calls a second`, seconds)
    }
    own.units -= 1
    own.running += 1
    const release = () => {
      own.running -= 1
    }
    return { release }
  }
}

/** Beyond this the accounts of agents with nothing under way are forgotten. */
const maxAccounts = 10_000

const limited = (what: string, seconds: number): Refusal =>
  refuse(
    'rate_limited',
    `This agent has ${what}, which is its own limit at this gateway. Wait ${seconds} s.`,
    { limit: 'agent', retry_after_seconds: seconds },
    seconds,
  )

import type { CallLimit } from '../catalog/limits.ts'
import { type Refusal, refuse } from '../errors.ts'

/** Whose calls are counted together. */
export type BudgetOf = {
  /** Of the application, or of a connection that has none. */
  readonly id: string
  readonly kind: 'application' | 'connection'
  /** The provider's name for people. */
  readonly provider: string
  /** What the provider file allows. */
  readonly fallback: CallLimit | null
}

/** None is left for this agent; there is one again in so many milliseconds. */
export function refuseUsedUp(budget: BudgetOf, limit: CallLimit, inMs: number): Refusal {
  const { requests, seconds } = limit
  const wait = wholeSeconds(inMs)
  return refuse(
    'rate_limited',
    `${requests} calls in ${seconds} s, shared by everything connected through ${nameOf(budget)}, are used up as far as this agent's share goes. Try again in ${wait} s.`,
    { limit: 'application', ...membersOf(budget, wait), requests, seconds },
    wait,
  )
}

/** The provider has said that everything waits, for so many milliseconds more. */
export function refusePaused(budget: BudgetOf, inMs: number): Refusal {
  const wait = wholeSeconds(inMs)
  return refuse(
    'rate_limited',
    `${budget.provider} has said that these are too many calls, so everything connected through ${nameOf(budget)} waits. Try again in ${wait} s.`,
    { limit: 'provider', ...membersOf(budget, wait) },
    wait,
  )
}

/** Other nodes came in between again and again. */
export const refuseBusy = (budget: BudgetOf): Refusal =>
  refuse('overloaded', `Too many nodes take from the limit of ${nameOf(budget)}.`, {}, 1)

const nameOf = ({ kind, id }: BudgetOf) => `${kind} ${id}`

const membersOf = ({ kind, id }: BudgetOf, wait: number) => ({
  ...{ [kind]: id, retry_after_seconds: wait },
})

/** Rounded up, with a little time for the way to the database: a retry then succeeds. */
const wholeSeconds = (ms: number) => Math.max(1, Math.ceil((ms + 100) / 1_000))

import { isRefusal, type Refusal, refuse } from '../errors.ts'
import type { Store, Write } from '../store/store.ts'

/** A write that was made of what was read, and what to answer. */
export type Plan<T> = {
  readonly write: Omit<Write, 'ifPolicyEpoch'>
  readonly answer: T
  /** The answer when a statement that had to touch something touched nothing. */
  readonly unmet: Refusal
}

/** Beyond this something else than chance changes the policy all the time. */
const attempts = 8

/**
 * Plans and writes; plans anew when a grant, an agent or a connection changed between reading and
 * writing, so that nothing is decided on what is past. Throws Malfunction `audit_unavailable`
 * when nothing can be written.
 */
export async function carryOut<T>(
  store: Store,
  plan: () => Promise<Plan<T> | Refusal>,
): Promise<T | Refusal> {
  for (let left = attempts; left > 0; left--) {
    const ifPolicyEpoch = store.policyEpoch()
    const planned = await plan()
    if (isRefusal(planned)) return planned
    const result = await store.write({ ...planned.write, ifPolicyEpoch })
    if (result.kind === 'done') return planned.answer
    if (result.kind === 'unmet') return planned.unmet
  }
  return refuse('conflict', 'Too much was changed at the same time; try again.')
}

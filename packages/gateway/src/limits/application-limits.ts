import type { Provider } from '../catalog/provider.ts'
import type { Refusal } from '../errors.ts'
import { databaseTime } from '../store/call-budget.ts'
import type { ConnectionView } from '../store/grant.ts'
import type { Store } from '../store/store.ts'
import type { Random } from '../words.ts'
import { type Budget, isIdle, newBudget, pauseUnits, sweep, takeUnit } from './budget.ts'
import type { Unit } from './chunk.ts'
import { closing, type LedgerParts } from './draw.ts'

export type { Unit } from './chunk.ts'

/** The connection that a call goes through, and its provider. */
export type Through = {
  readonly connection: Pick<ConnectionView, 'id' | 'applicationId'>
  readonly provider: Provider
}

/**
 * The calls that applications may make, over all their connections and all nodes: never more than
 * the limit in any window of its length, shared by agents as limits/fair-share.ts says. A
 * connection without an application is counted alone.
 *
 * What may be used is taken from the database in chunks, by the database's clock, and lives for
 * two seconds; what is not used goes back then. So a crash forgets nothing, and a limit or a pause
 * is known to every node after two seconds, to the one that learns of it at once.
 */
export type ApplicationLimits = {
  /**
   * One unit for one call that goes out: at hand, without a promise, while a chunk lasts. Refuses
   * with `rate_limited`, `limit` being `application` or `provider`. Throws Malfunction as the store
   * does. A unit that is not spent goes back by itself.
   */
  take(through: Through, agentId: string): Unit | Refusal | Promise<Unit | Refusal>
  /** Right before the call goes out. False when it came too late: take another unit. */
  spend(unit: Unit): boolean
  /** The provider has said that everything connected through this application must wait. */
  pause(through: Through, seconds: number): Promise<void>
  /** Gives back what was not used; call it twice a second or so. */
  settle(): Promise<void>
}

export function createApplicationLimits({
  store,
  random,
  monotonic = () => performance.now(),
  time = databaseTime(store.dialect),
}: {
  readonly store: Store
  readonly random: Random
  readonly monotonic?: () => number
  readonly time?: LedgerParts['databaseTime']
}): ApplicationLimits {
  const parts: LedgerParts = { store, random, monotonic, databaseTime: time }
  const budgets = new Map<string, Budget>()
  const budgetOf = (through: Through): Budget => {
    const { applicationId, id: connectionId } = through.connection
    const id = applicationId ?? connectionId
    const known = budgets.get(id)
    if (known !== undefined) return known
    const fresh = newBudget(budgetThrough(id, through))
    budgets.set(id, fresh)
    return fresh
  }
  return {
    take: (through, agentId) => takeUnit(parts, budgetOf(through), agentId),
    spend: (unit) => {
      if (monotonic() >= unit.endsAt) return false
      unit.spent += 1
      return true
    },
    pause: async (through, seconds) => {
      const { connection, provider } = through
      const record = store.draft({
        ...{ kind: 'application.paused', application: connection.applicationId },
        ...{ connection: connection.id, provider: provider.name, seconds },
      })
      await pauseUnits(parts, budgetOf(through), { seconds, record })
    },
    settle: async () => {
      for (const budget of [...budgets.values()]) {
        await giveBack(parts, budget)
        if (isIdle(budget, monotonic())) budgets.delete(budget.id)
      }
    },
  }
}

const budgetThrough = (id: string, { connection, provider }: Through) => ({
  ...{ id, provider: provider.title, fallback: provider.limits.application },
  kind: connection.applicationId === null ? ('connection' as const) : ('application' as const),
})

async function giveBack(parts: LedgerParts, budget: Budget): Promise<void> {
  const over = sweep(parts, budget)
  if (over.length === 0) return
  const statements = over.map((chunk) => closing(parts, budget.id, chunk))
  await parts.store.write({ statements, records: [] })
  for (const chunk of over) chunk.closedAt = chunk.endsAt
}

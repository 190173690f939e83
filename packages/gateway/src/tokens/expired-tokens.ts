import { deleteExpiredTokens, hasExpiredTokens } from '../store/operation-token.ts'
import type { Store } from '../store/store.ts'
import type { Clock } from '../words.ts'

/** Takes away what is known of operation tokens that nobody can use any more. */
export type ExpiredTokenSweep = {
  /** At most one batch; most of the time it does not even look. */
  sweep(): Promise<void>
}

/** An expired token is refused by what it says itself. An hour: nodes' clocks differ, and are set. */
const keptMs = 3_600_000
const lookEveryMs = 60_000
/** Rows in one write: calls wait for it. */
const batchSize = 500

/**
 * The row of a token says that it was issued and whether it was revoked. After its end neither
 * matters; what it was used for stands in the log.
 */
export function createExpiredTokenSweep({
  store,
  clock,
}: {
  readonly store: Store
  readonly clock: Clock
}): ExpiredTokenSweep {
  let nextLook = 0
  return {
    sweep: async () => {
      const nowMs = clock()
      if (nowMs < nextLook) return
      const beforeMs = nowMs - keptMs
      if (!(await hasExpiredTokens(store.db, beforeMs))) {
        nextLook = nowMs + lookEveryMs
        return
      }
      const statements = [deleteExpiredTokens(store.db, { beforeMs, limit: batchSize })]
      await store.write({ statements, records: [] })
    },
  }
}

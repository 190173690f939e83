const FAILURES_FOR_A_WARNING = 4
const WARNING_LIMIT = 4
const GRACE_SECONDS = 20 * 86_400

/** How the deliveries of a subscription went lately. Times are epoch seconds. */
export type Standing = {
  /** Notifications that were lost, after all their tries, since the last one that was delivered. */
  readonly lostInARow: number
  /** Mails that told the application's owner so. */
  readonly warnings: number
  readonly warnedAt: number | null
}

export const goodStanding: Standing = { lostInARow: 0, warnings: 0, warnedAt: null }

/**
 * After one more lost notification: each four in a row are a warning, at most four times.
 *
 * Four failed tries cannot be meant, since a notification is tried ten times.
 * Source: Withings developer guide, "Notifications - Overview" (the page of 2026).
 */
export function afterLoss(standing: Standing, now: number): Standing {
  const lostInARow = standing.lostInARow + 1
  const isWarned = lostInARow % FAILURES_FOR_A_WARNING === 0 && standing.warnings < WARNING_LIMIT
  if (!isWarned) return { ...standing, lostInARow }
  return { lostInARow, warnings: standing.warnings + 1, warnedAt: standing.warnedAt ?? now }
}

/** When the provider gives a subscription up: 20 days after the first warning. Null is never. */
export function cancelledAt({ warnedAt }: Standing): number | null {
  return warnedAt === null ? null : warnedAt + GRACE_SECONDS
}

/**
 * Units that this node has taken out of a budget for one agent, to be used up from memory. Moments
 * are milliseconds of a clock that never steps (`performance.now`), begun before the database's:
 * here a chunk ends no later than there.
 */
export type Chunk = {
  /** Of its row in the ledger; null where there is no limit and so no row. */
  readonly id: string | null
  readonly agentId: string
  readonly units: number
  readonly endsAt: number
  /** A change of the limit opens a new policy epoch: then what is left is not taken any more. */
  readonly policyEpoch: number
  /** Units promised to calls, and of these the ones whose calls have been sent. */
  taken: number
  spent: number
  /** When its row came to say what was used; null while it may say more. */
  closedAt: number | null
}

/** One unit, promised to one call. */
export type Unit = Pick<Chunk, 'endsAt' | 'spent'>

/** Milliseconds for which a chunk may be used. */
export const lifeMs = 2_000

export const isUsable = (chunk: Chunk, at: number, policyEpoch: number): boolean =>
  chunk.taken < chunk.units && at < chunk.endsAt && chunk.policyEpoch === policyEpoch

/** Nothing of it can be spent any more, and its row does not say so yet. */
export const isToClose = (chunk: Chunk, at: number): boolean =>
  chunk.closedAt === null && (at >= chunk.endsAt || chunk.spent === chunk.units)

/** After this moment nothing of it was spent. */
export const endOf = ({ closedAt, endsAt }: Chunk): number =>
  closedAt === null ? endsAt : Math.min(closedAt, endsAt)

/**
 * The next chunk is twice as large when this one was used up before its end, up to an eighth of
 * the limit: an agent that calls now and then holds nothing back from the others.
 */
export function nextSize(before: Chunk | undefined, requests: number, at: number): number {
  const isHungry = before && before.taken === before.units && at < before.endsAt
  const most = Math.max(1, Math.floor(requests / 8))
  return isHungry ? Math.min(before.units * 2, most) : 1
}

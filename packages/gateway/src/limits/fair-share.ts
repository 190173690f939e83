import type { CallLimit } from '../catalog/limits.ts'

/**
 * How the calls that an application may make are shared by the agents that call through it.
 *
 * - Never more than the limit's `requests` in any window of its `seconds`.
 * - A tenth of them, rounded down, is the reserve: what newcomers find when all others are busy.
 * - The rest, divided by the agents that have called or waited within the last ten seconds (the
 *   one that asks included), is an agent's share.
 * - An agent below its share is served as long as any unit is left. Beyond its share it gets what
 *   nobody else has a claim to: it leaves the reserve, and what the other recent agents still lack
 *   of their shares.
 *
 * So an agent that is alone has nine tenths of the limit, agents that all want more than their
 * shares have equal ones within a window, and one that calls now and then takes nothing from the
 * others. Where there are fewer units than agents, whoever comes first is served.
 *
 * Pure: times are milliseconds of one clock, the database's.
 */

/** What an agent took out of the limit, and until when it may still be used. */
export type Taken = {
  readonly agentId: string
  /** 0 for a claim: the agent was refused below its share and may come again until then. */
  readonly units: number
  readonly usableUntil: number
}

/** Milliseconds between using a unit and its call's arrival at the provider, at the most. */
export const slackMs = 1_000
/** Milliseconds for which an agent counts as recent; never longer than the window. */
const recentMs = 10_000

const windowOf = (limit: CallLimit) => limit.seconds * 1_000

/** Used at its last moment, a unit may be on its way a little longer; then a window begins. */
const countedUntil = ({ usableUntil }: Taken, limit: CallLimit) =>
  usableUntil + slackMs + windowOf(limit)

const recentUntil = ({ usableUntil }: Taken, limit: CallLimit) =>
  usableUntil + Math.min(recentMs, windowOf(limit))

/** From when on a row says nothing any more and may be forgotten. */
export const staleAfterMs = (limit: CallLimit): number => slackMs + windowOf(limit)

const reserveOf = (limit: CallLimit) => Math.floor(limit.requests / 10)

/** The units that an agent may have at this moment; 0 for none. */
export function unitsFree(
  ledger: readonly Taken[],
  { limit, agentId, atMs }: Asking,
): { readonly units: number; readonly isBelowShare: boolean } {
  const { used, total, recent } = count(ledger, { limit, agentId, atMs })
  const common = limit.requests - reserveOf(limit)
  const share = Math.floor(common / recent.size)
  const ownLack = share - (used.get(agentId) ?? 0)
  let othersLack = 0
  for (const other of recent) {
    if (other !== agentId) othersLack += Math.max(0, share - (used.get(other) ?? 0))
  }
  const upToShare = Math.min(ownLack, limit.requests - total)
  const beyond = common - othersLack - total
  return { units: Math.max(0, upToShare, beyond), isBelowShare: ownLack > 0 }
}

export type Asking = {
  readonly limit: CallLimit
  readonly agentId: string
  readonly atMs: number
}

function count(ledger: readonly Taken[], { limit, agentId, atMs }: Asking) {
  const used = new Map<string, number>()
  const recent = new Set([agentId])
  let total = 0
  for (const taken of ledger) {
    if (recentUntil(taken, limit) > atMs) recent.add(taken.agentId)
    if (countedUntil(taken, limit) <= atMs) continue
    used.set(taken.agentId, (used.get(taken.agentId) ?? 0) + taken.units)
    total += taken.units
  }
  return { used, total, recent }
}

/** A moment at which the agent gets a unit when nobody takes any until then; `atMs` if it may now. */
export function freeFrom(ledger: readonly Taken[], asking: Asking): number {
  const { limit, atMs } = asking
  const mayAt = (moment: number) => unitsFree(ledger, { ...asking, atMs: moment }).units > 0
  if (mayAt(atMs)) return atMs
  const moments = ledger
    .flatMap((taken) => [countedUntil(taken, limit), recentUntil(taken, limit)])
    .filter((moment) => moment > atMs)
    .sort((one, other) => one - other)
  let low = 0
  let high = moments.length - 1
  while (low < high) {
    const middle = (low + high) >> 1
    if (mayAt(moments[middle] ?? 0)) high = middle
    else low = middle + 1
  }
  return moments[low] ?? atMs
}

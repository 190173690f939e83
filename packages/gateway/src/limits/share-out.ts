import type { CallLimit } from '../catalog/limits.ts'
import { lifeMs } from './chunk.ts'
import { freeFrom, type Taken, unitsFree } from './fair-share.ts'

/** What one agent wants: a unit for each call that waits, and a whole chunk if nobody minds. */
export type Want = { readonly agentId: string; readonly calls: number; readonly size: number }

export type Shares = {
  readonly units: ReadonlyMap<string, number>
  /** For agents that did not get what their calls need: milliseconds until there is more. */
  readonly freeInMs: ReadonlyMap<string, number>
  /** Who waits below its share and has to be thought of until then; a part of `freeInMs`. */
  readonly claims: ReadonlyMap<string, number>
}

/** Shares what is free among all who want some: the calls that wait come before full chunks. */
export function shareOut(
  ledger: readonly Taken[],
  {
    limit,
    nowMs,
    wants,
  }: { readonly limit: CallLimit; readonly nowMs: number; readonly wants: readonly Want[] },
): Shares {
  const units = new Map<string, number>()
  const marks = wants.map(({ agentId }) => ({ agentId, units: 0, usableUntil: nowMs }))
  const shared = (): Taken[] => [
    ...ledger,
    ...marks,
    ...[...units].map(([agentId, taken]) => taking(agentId, taken, nowMs)),
  ]
  for (const upTo of [({ calls }: Want) => calls, ({ size }: Want) => size]) {
    for (const want of wants) {
      const { agentId } = want
      const had = units.get(agentId) ?? 0
      const free = unitsFree(shared(), { limit, agentId, atMs: nowMs }).units
      const more = Math.min(free, upTo(want) - had)
      if (more > 0) units.set(agentId, had + more)
    }
  }
  const short = wants.filter(({ agentId, calls }) => calls > (units.get(agentId) ?? 0))
  return { units, ...waits(shared(), { limit, nowMs, short }) }
}

const taking = (agentId: string, units: number, nowMs: number): Taken => ({
  ...{ agentId, units, usableUntil: nowMs + lifeMs },
})

function waits(
  ledger: readonly Taken[],
  {
    limit,
    nowMs,
    short,
  }: { readonly limit: CallLimit; readonly nowMs: number; readonly short: readonly Want[] },
): Pick<Shares, 'freeInMs' | 'claims'> {
  const freeInMs = new Map<string, number>()
  const claims = new Map<string, number>()
  for (const { agentId } of short) {
    const asking = { limit, agentId, atMs: nowMs }
    const freeAt = freeFrom(ledger, asking)
    freeInMs.set(agentId, freeAt - nowMs)
    const isKnown = ledger.some((one) => one.agentId === agentId && one.usableUntil >= freeAt)
    if (unitsFree(ledger, asking).isBelowShare && !isKnown) claims.set(agentId, freeAt - nowMs)
  }
  return { freeInMs, claims }
}

import { setTimeout as sleep } from 'node:timers/promises'
import type { Draft } from '../audit/record.ts'
import type { CallLimit } from '../catalog/limits.ts'
import type { Refusal } from '../errors.ts'
import { enterBudget, pauseBudget } from '../store/call-budget.ts'
import { type Chunk, endOf, isToClose, isUsable, nextSize, type Unit } from './chunk.ts'
import { type Drawn, draw, type LedgerParts } from './draw.ts'
import { staleAfterMs } from './fair-share.ts'
import { type BudgetOf, refuseBusy, refusePaused, refuseUsedUp } from './refusals.ts'

/** What this node has in memory of one budget. */
export type Budget = BudgetOf & {
  /** The newest chunk of each agent. */
  readonly current: Map<string, Chunk>
  /** All chunks of the last window. */
  readonly own: Set<Chunk>
  /** Milliseconds after their end for which chunks count. */
  keptMs: number
  readonly refused: Map<string, Refused>
  pausedUntil: number
  waiting: Waiting[]
  isDrawing: boolean
}

type Refused = {
  readonly limit: CallLimit
  readonly freeAt: number
  /** What is remembered may have been overtaken: then the ledger is asked again. */
  readonly until: number
  readonly policyEpoch: number
}

type Waiting = {
  readonly agentId: string
  readonly resolve: (unit: Unit | Refusal) => void
  readonly reject: (error: unknown) => void
}

/** Milliseconds for which a refusal is repeated without a look at the ledger. */
const rememberedMs = 1_000
/** Times that another node may come in between. */
const maxTries = 200

export const newBudget = (of: BudgetOf): Budget => ({
  ...of,
  ...{ current: new Map(), own: new Set(), keptMs: 0, refused: new Map() },
  ...{ pausedUntil: 0, waiting: [], isDrawing: false },
})

/** From memory where there is something, without a promise; else from the ledger. */
export function takeUnit(
  parts: LedgerParts,
  budget: Budget,
  agentId: string,
): Unit | Refusal | Promise<Unit | Refusal> {
  const now = parts.monotonic()
  if (now < budget.pausedUntil) return refusePaused(budget, budget.pausedUntil - now)
  const atHand = takeAtHand(parts, budget, agentId)
  if (atHand !== null) return atHand
  const policyEpoch = parts.store.policyEpoch()
  const refused = budget.refused.get(agentId)
  if (refused !== undefined && now < refused.until && refused.policyEpoch === policyEpoch) {
    return refuseUsedUp(budget, refused.limit, refused.freeAt - now)
  }
  return new Promise((resolve, reject) => {
    budget.waiting.push({ agentId, resolve, reject })
    if (!budget.isDrawing) void drawAll(parts, budget)
  })
}

/** Out of the agent's newest chunk; null when that is used up or over. */
function takeAtHand({ store, monotonic }: LedgerParts, budget: Budget, agentId: string) {
  const chunk = budget.current.get(agentId)
  if (chunk === undefined || !isUsable(chunk, monotonic(), store.policyEpoch())) return null
  chunk.taken += 1
  return chunk
}

/** One draw at a time; who comes meanwhile gets what that left, or waits for the next. */
async function drawAll(parts: LedgerParts, budget: Budget): Promise<void> {
  budget.isDrawing = true
  while (budget.waiting.length > 0) {
    const waiting = budget.waiting.filter(({ agentId, resolve }) => {
      const atHand = takeAtHand(parts, budget, agentId)
      if (atHand !== null) resolve(atHand)
      return atHand === null
    })
    budget.waiting = []
    if (waiting.length === 0) continue
    try {
      const drawn = await drawFor(parts, budget, waiting)
      for (const one of waiting) one.resolve(handOut(parts, { budget, drawn }, one.agentId))
    } catch (error) {
      for (const one of waiting) one.reject(error)
    }
  }
  budget.isDrawing = false
}

async function drawFor(
  parts: LedgerParts,
  budget: Budget,
  waiting: readonly Waiting[],
): Promise<Drawn | null> {
  const calls = new Map<string, number>()
  for (const { agentId } of waiting) calls.set(agentId, (calls.get(agentId) ?? 0) + 1)
  const wants = (limit: CallLimit | null) =>
    [...calls].map(([agentId, count]) => ({
      ...{ agentId, calls: count },
      size: nextSize(budget.current.get(agentId), limit?.requests ?? 0, parts.monotonic()),
    }))
  const { id: budgetId, fallback, own } = budget
  for (let left = maxTries; left > 0; left -= 1) {
    const drawn = await draw(parts, { budgetId, fallback, wants, own })
    if (drawn !== null) {
      remember(parts, budget, drawn)
      return drawn
    }
    await turn(parts)
  }
  return null
}

/** Until another node may have left: at random, so that two do not meet again and again. */
const turn = ({ random }: LedgerParts) => sleep(2 + (random(1)[0] ?? 0) / 16)

function remember({ monotonic }: LedgerParts, budget: Budget, drawn: Drawn): void {
  if (drawn.kind === 'paused') {
    budget.pausedUntil = Math.max(budget.pausedUntil, drawn.until)
    return
  }
  for (const chunk of drawn.chunks) {
    budget.current.set(chunk.agentId, chunk)
    budget.refused.delete(chunk.agentId)
    if (chunk.id !== null) budget.own.add(chunk)
  }
  if (drawn.limit === null) return
  const { limit, policyEpoch } = drawn
  budget.keptMs = staleAfterMs(limit)
  for (const [agentId, freeAt] of drawn.freeAt) {
    const until = Math.min(freeAt, monotonic() + rememberedMs)
    budget.refused.set(agentId, { limit, freeAt, until, policyEpoch })
  }
}

type Handing = { readonly budget: Budget; readonly drawn: Drawn | null }

function handOut(
  { monotonic }: LedgerParts,
  { budget, drawn }: Handing,
  agentId: string,
): Unit | Refusal {
  const now = monotonic()
  if (now < budget.pausedUntil) return refusePaused(budget, budget.pausedUntil - now)
  const chunk = budget.current.get(agentId)
  const isNew = drawn?.kind === 'drawn' && chunk !== undefined && drawn.chunks.includes(chunk)
  // Even if it has ended meanwhile: whether a unit may still be used is asked when it is spent.
  if (isNew && chunk.taken < chunk.units) {
    chunk.taken += 1
    return chunk
  }
  const refused = budget.refused.get(agentId)
  if (drawn !== null && refused !== undefined)
    return refuseUsedUp(budget, refused.limit, refused.freeAt - now)
  return refuseBusy(budget)
}

/** Pauses the budget on this node at once, and on all nodes once it is durable. */
export async function pauseUnits(
  parts: LedgerParts,
  budget: Budget,
  { seconds, record }: { readonly seconds: number; readonly record: Draft },
): Promise<void> {
  const { store, monotonic, databaseTime: now } = parts
  const pauseMs = seconds * 1_000
  const until = monotonic() + pauseMs
  const isKnown = until < budget.pausedUntil + sameWordMs
  budget.pausedUntil = Math.max(budget.pausedUntil, until)
  if (isKnown) return
  const { id } = budget
  const pause = pauseBudget(store.db, { id, pauseMs, now })
  const statements = [...enterBudget(store, id), pause]
  for (let left = maxTries; left > 0; left -= 1) {
    const { kind } = await store.write({ statements, records: [record] })
    if (kind === 'done') return
    await turn(parts)
  }
}

/** Calls under way together are told the same: one record and one write are enough. */
const sameWordMs = 1_500

/** Forgets what is over; returns the chunks whose unused units have to go back. */
export function sweep({ monotonic }: LedgerParts, budget: Budget): readonly Chunk[] {
  const now = monotonic()
  for (const [agentId, { until }] of budget.refused) {
    if (until <= now) budget.refused.delete(agentId)
  }
  for (const [agentId, { endsAt }] of budget.current) {
    if (endsAt <= now) budget.current.delete(agentId)
  }
  for (const chunk of budget.own) {
    if (endOf(chunk) + budget.keptMs <= now) budget.own.delete(chunk)
    else if (chunk.endsAt <= now && chunk.spent === chunk.units) chunk.closedAt ??= chunk.endsAt
  }
  return [...budget.own].filter((chunk) => chunk.spent < chunk.units && isToClose(chunk, now))
}

export const isIdle = (budget: Budget, now: number): boolean =>
  budget.own.size + budget.current.size + budget.refused.size + budget.waiting.length === 0 &&
  !budget.isDrawing &&
  budget.pausedUntil <= now

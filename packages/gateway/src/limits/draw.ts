import type { RawBuilder } from 'kysely'
import type { CallLimit } from '../catalog/limits.ts'
import {
  advanceBudget,
  type BudgetState,
  closeChunk,
  enterBudget,
  forgetChunks,
  insertChunk,
  listChunks,
  mendChunks,
  readBudget,
} from '../store/call-budget.ts'
import type { Statement, Store } from '../store/store.ts'
import type { Random } from '../words.ts'
import { type Chunk, endOf, isToClose, lifeMs } from './chunk.ts'
import { staleAfterMs, type Taken } from './fair-share.ts'
import { type Shares, shareOut, type Want } from './share-out.ts'

export type LedgerParts = {
  readonly store: Store
  readonly random: Random
  /** Milliseconds of a clock that never steps. */
  readonly monotonic: () => number
  /** The database's own clock, as an expression: no node's clock decides what counts. */
  readonly databaseTime: RawBuilder<number>
}

export type Draw = {
  readonly budgetId: string
  /** The provider file's limit, for a budget without one of the operator's. */
  readonly fallback: CallLimit | null
  /** By the limit that is in force, or none. */
  readonly wants: (limit: CallLimit | null) => readonly Want[]
  /** All chunks of this node within the last window: of these it knows best. */
  readonly own: ReadonlySet<Chunk>
}

export type Drawn =
  | { readonly kind: 'paused'; readonly until: number }
  | {
      readonly kind: 'drawn'
      readonly limit: CallLimit | null
      readonly chunks: readonly Chunk[]
      readonly policyEpoch: number
      /** The moment at which an agent that did not get enough may ask again. */
      readonly freeAt: ReadonlyMap<string, number>
    }

/** An hour: what a clock that was set back makes of a pause must not be longer. */
const longestPauseMs = 3_600_000

/**
 * Takes chunks out of a budget for all agents that wait, in one conditional write: durable before
 * the first unit is used, so that a crash forgets nothing. Null when another node came in between.
 * Throws Malfunction as the store does.
 */
export async function draw(parts: LedgerParts, asked: Draw): Promise<Drawn | null> {
  const { store, monotonic, databaseTime } = parts
  const policyEpoch = store.policyEpoch()
  const begunAt = monotonic()
  const state = await readBudget(store.db, { id: asked.budgetId, now: databaseTime })
  const readAt = monotonic()
  const pausedMs = Math.min(longestPauseMs, state.pausedUntil - state.nowMs)
  if (pausedMs > 0) return { kind: 'paused', until: readAt + pausedMs }
  const limit = limitOf(state, asked.fallback)
  if (limit === null) {
    const ofAgent = { id: null, units: Number.POSITIVE_INFINITY, policyEpoch }
    const chunks = asked.wants(null).map(({ agentId }) => newChunk(agentId, ofAgent, begunAt))
    return { kind: 'drawn', limit, chunks, policyEpoch, freeAt: new Map() }
  }
  const closed = [...asked.own].filter((chunk) => isToClose(chunk, begunAt))
  const ledger = await readLedger(parts, asked, { begunAt, nowMs: state.nowMs, readAt })
  const shares = shareOut(ledger, { limit, nowMs: state.nowMs, wants: asked.wants(limit) })
  const startedAt = monotonic()
  const chunks = [...shares.units].map(([agentId, units]) =>
    newChunk(agentId, { id: newChunkId(parts), units, policyEpoch }, startedAt),
  )
  const freeAt = new Map([...shares.freeInMs].map(([agentId, ms]) => [agentId, readAt + ms]))
  const drawn = { kind: 'drawn', limit, chunks, policyEpoch, freeAt } as const
  if (chunks.length + shares.claims.size === 0) return drawn
  const written = await store.write({
    statements: statementsOf(parts, { asked, state, limit, chunks, closed, shares }),
    records: [],
  })
  if (written.kind !== 'done') return null
  for (const chunk of closed) chunk.closedAt = begunAt
  return drawn
}

function limitOf({ requests, seconds }: BudgetState, fallback: CallLimit | null): CallLimit | null {
  if (requests === null || seconds === null) return fallback
  return requests === 0 ? null : { requests, seconds }
}

const newChunkId = ({ random }: LedgerParts) => Buffer.from(random(9)).toString('base64url')

const newChunk = (
  agentId: string,
  chunk: Pick<Chunk, 'id' | 'units' | 'policyEpoch'>,
  startedAt: number,
): Chunk => ({
  ...{ ...chunk, agentId, endsAt: startedAt + lifeMs, taken: 0, spent: 0, closedAt: null },
})

type Reading = {
  readonly begunAt: number
  readonly nowMs: number
  /** The same moment by the clock that never steps. */
  readonly readAt: number
}

/**
 * What all nodes have taken: rows, but of its own chunks a node goes by its own clock, which shows
 * nothing of it when the database's is set forward.
 */
async function readLedger(
  { store }: LedgerParts,
  { budgetId, own }: Draw,
  { begunAt, nowMs, readAt }: Reading,
): Promise<readonly Taken[]> {
  const ownIds = new Set([...own].map(({ id }) => id))
  const rows = (await listChunks(store.db, budgetId)).filter(({ id }) => !ownIds.has(id))
  return [
    ...rows.map((row) => ({
      ...{ agentId: row.agent_id, units: row.units, usableUntil: row.usable_until },
    })),
    ...[...own].map((chunk) => {
      const { agentId, spent, units } = chunk
      const isClosing = isToClose(chunk, begunAt)
      const isFinal = isClosing || chunk.closedAt !== null
      const end = isClosing ? Math.min(chunk.endsAt, begunAt) : endOf(chunk)
      return { agentId, units: isFinal ? spent : units, usableUntil: nowMs + end - readAt }
    }),
  ]
}

type Change = {
  readonly asked: Draw
  readonly state: BudgetState
  readonly limit: CallLimit
  readonly chunks: readonly Chunk[]
  readonly closed: readonly Chunk[]
  readonly shares: Shares
}

function statementsOf(parts: LedgerParts, change: Change): readonly Statement[] {
  const { asked, state, limit, chunks, closed, shares } = change
  const { budgetId } = asked
  const { store, databaseTime: now } = parts
  const { db } = store
  const insert = (agentId: string, row: { id: string | null; units: number; lifeMs: number }) =>
    insertChunk(db, { ...row, id: row.id ?? '', budgetId, agentId, now })
  return [
    ...enterBudget(store, budgetId),
    advanceBudget(db, { id: budgetId, version: state.version }),
    mendChunks(db, { budgetId, lifeMs, now }),
    forgetChunks(db, { budgetId, afterMs: staleAfterMs(limit), now }),
    ...closed.map((chunk) => closing(parts, budgetId, chunk)),
    ...chunks.map(({ id, agentId, units }) => insert(agentId, { id, units, lifeMs })),
    ...[...shares.claims].map(([agentId, ms]) =>
      insert(agentId, { id: newChunkId(parts), units: 0, lifeMs: ms }),
    ),
  ]
}

/** Makes the row of a chunk that is over say what was used. */
export const closing = (
  { store, databaseTime: now }: LedgerParts,
  budgetId: string,
  { id, spent }: Chunk,
): Statement => closeChunk(store.db, { budgetId, id: id ?? '', units: spent, now })

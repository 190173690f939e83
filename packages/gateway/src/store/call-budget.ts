import { type ExpressionBuilder, type Kysely, type RawBuilder, sql } from 'kysely'
import { workspace } from '../words.ts'
import type { CallChunkRow, Schema } from './schema.ts'
import type { Statement, Store } from './store.ts'

/** The database's own clock, milliseconds since the Unix epoch, at the moment of the statement. */
export const databaseTime = (dialect: Store['dialect']): RawBuilder<number> =>
  dialect === 'sqlite'
    ? sql`cast(unixepoch('now', 'subsec') * 1000 as integer)`
    : sql`cast(extract(epoch from clock_timestamp()) * 1000 as bigint)`

/** A budget as one query sees it, and when that was by the clock of the database. */
export type BudgetState = {
  readonly nowMs: number
  /** 0 before anything was ever taken. */
  readonly version: number
  readonly pausedUntil: number
  /** The operator's own limit of the application; see ApplicationRow. */
  readonly requests: number | null
  readonly seconds: number | null
}

/** Read before `listChunks`: what changes in between has another version. */
export async function readBudget(
  db: Kysely<Schema>,
  { id, now }: { readonly id: string; readonly now: RawBuilder<number> },
): Promise<BudgetState> {
  const state = await db
    .selectNoFrom(({ selectFrom }) => {
      const budget = selectFrom('call_budget')
        .where('workspace_id', '=', workspace)
        .where('id', '=', id)
      const application = selectFrom('application')
        .where('workspace_id', '=', workspace)
        .where('id', '=', id)
      return [
        now.as('now_ms'),
        budget.select('version').as('version'),
        budget.select('paused_until').as('paused_until'),
        application.select('limit_requests').as('requests'),
        application.select('limit_seconds').as('seconds'),
      ]
    })
    .executeTakeFirstOrThrow()
  const { version, paused_until: pausedUntil, requests, seconds } = state
  return {
    nowMs: Number(state.now_ms),
    ...{ version: version ?? 0, pausedUntil: pausedUntil ?? 0, requests, seconds },
  }
}

export const listChunks = (
  db: Kysely<Schema>,
  budgetId: string,
): Promise<Pick<CallChunkRow, 'id' | 'agent_id' | 'units' | 'usable_until'>[]> =>
  db
    .selectFrom('call_chunk')
    .select(['id', 'agent_id', 'units', 'usable_until'])
    .where('workspace_id', '=', workspace)
    .where('budget_id', '=', budgetId)
    .execute()

/**
 * Has one node at a time change a budget, without ever waiting for the other: a group of writes
 * that waits inside its transaction could meet one that waits for it. Comes first in a write, since
 * later statements then see what the other has committed. Touches nothing when it is the other's turn.
 */
export function enterBudget(store: Pick<Store, 'db' | 'dialect'>, id: string): Statement[] {
  if (store.dialect === 'sqlite') return []
  const query = sql`select 1 as entered
    where pg_try_advisory_xact_lock(${budgetLock}, hashtext(${`${workspace} ${id}`}))`
  return [{ query: query.compile(store.db), mustTouch: true }]
}

const budgetLock = 0x6f6b6275

/** Touches nothing when the budget is no longer of this version. */
export function advanceBudget(
  db: Kysely<Schema>,
  { id, version }: { readonly id: string; readonly version: number },
): Statement {
  const query = db
    .insertInto('call_budget')
    .values({ workspace_id: workspace, id, version: version + 1, paused_until: 0 })
    .onConflict((conflict) =>
      conflict
        .columns(['workspace_id', 'id'])
        .doUpdateSet({ version: version + 1 })
        .where('call_budget.version', '=', version),
    )
    .compile()
  return { query, mustTouch: true }
}

/** Pauses a budget for so long from now; a longer pause stays. */
export function pauseBudget(
  db: Kysely<Schema>,
  { id, pauseMs, now }: { readonly id: string; readonly pauseMs: number } & Now,
): Statement {
  const until = plus(now, pauseMs)
  const query = db
    .insertInto('call_budget')
    .values({ workspace_id: workspace, id, version: 1, paused_until: until })
    .onConflict((conflict) =>
      conflict.columns(['workspace_id', 'id']).doUpdateSet({
        version: sql`call_budget.version + 1`,
        paused_until: sql`case when call_budget.paused_until > excluded.paused_until
          then call_budget.paused_until else excluded.paused_until end`,
      }),
    )
    .compile()
  return { query }
}

type Now = { readonly now: RawBuilder<number> }
type Named = { readonly budgetId: string; readonly id: string }

const plus = (now: RawBuilder<number>, ms: number) => sql<number>`${now} + cast(${ms} as bigint)`

/** A chunk that may be used for `lifeMs` from now. */
export function insertChunk(
  db: Kysely<Schema>,
  {
    budgetId,
    id,
    agentId,
    units,
    lifeMs,
    now,
  }: Named & Now & { readonly agentId: string; readonly units: number; readonly lifeMs: number },
): Statement {
  const query = db
    .insertInto('call_chunk')
    .values({
      ...{ workspace_id: workspace, budget_id: budgetId, id, agent_id: agentId, units },
      usable_until: plus(now, lifeMs),
    })
    .compile()
  return { query }
}

/** Ends a chunk of which so many units were used: the others go back. */
export function closeChunk(
  db: Kysely<Schema>,
  { budgetId, id, units, now }: Named & Now & { readonly units: number },
): Statement {
  const query = db
    .updateTable('call_chunk')
    .set({
      units,
      usable_until: sql<number>`case when usable_until > ${now} then ${now} else usable_until end`,
    })
    .where((row) => isChunk(row, budgetId))
    .where('id', '=', id)
    .compile()
  return { query }
}

/** Forgets what ended so long ago that it counts no more. */
export function forgetChunks(
  db: Kysely<Schema>,
  { budgetId, afterMs, now }: { readonly budgetId: string; readonly afterMs: number } & Now,
): Statement {
  const query = db
    .deleteFrom('call_chunk')
    .where((row) => isChunk(row, budgetId))
    .where('usable_until', '<=', plus(now, -afterMs))
    .compile()
  return { query }
}

/**
 * Brings back chunks that end later than any chunk can: the database's clock was set back. They
 * count from now on, which is longer than they have to.
 */
export function mendChunks(
  db: Kysely<Schema>,
  { budgetId, lifeMs, now }: { readonly budgetId: string; readonly lifeMs: number } & Now,
): Statement {
  const query = db
    .updateTable('call_chunk')
    .set({ usable_until: plus(now, lifeMs) })
    .where((row) => isChunk(row, budgetId))
    .where('units', '>', 0)
    .where('usable_until', '>', plus(now, lifeMs))
    .compile()
  return { query }
}

/** What a removed application leaves behind. */
export function deleteBudget(db: Kysely<Schema>, id: string): Statement[] {
  const budget = db
    .deleteFrom('call_budget')
    .where('workspace_id', '=', workspace)
    .where('id', '=', id)
  const chunks = db.deleteFrom('call_chunk').where((row) => isChunk(row, id))
  return [{ query: budget.compile() }, { query: chunks.compile() }]
}

const isChunk = (row: ExpressionBuilder<Schema, 'call_chunk'>, budgetId: string) =>
  row.and([row('workspace_id', '=', workspace), row('budget_id', '=', budgetId)])

import type { Kysely } from 'kysely'
import { workspace } from '../words.ts'
import type { AgentRow, Schema } from './schema.ts'
import type { Statement } from './store.ts'

/** Oldest first; all of them, or those of one status. */
export function listAgents(
  db: Kysely<Schema>,
  { status }: { readonly status?: AgentRow['status'] | undefined } = {},
): Promise<AgentRow[]> {
  const all = db.selectFrom('agent').selectAll().where('workspace_id', '=', workspace)
  const some = status === undefined ? all : all.where('status', '=', status)
  return some.orderBy('created_at').orderBy('id').execute()
}

/** The agent of this id, or else of this name. */
export const findAgent = (db: Kysely<Schema>, idOrName: string): Promise<AgentRow | undefined> =>
  db
    .selectFrom('agent')
    .selectAll()
    .where('workspace_id', '=', workspace)
    .where((column) => column.or({ id: idOrName, name: idOrName }))
    .orderBy((column) => column('id', '=', idOrName), 'desc')
    .executeTakeFirst()

type NewAgent = Pick<AgentRow, 'id' | 'name' | 'created_at'> &
  Partial<Pick<AgentRow, 'lease_seconds' | 'lives_until'>>

/** A new, active agent; touches nothing when the name is taken. */
export function insertAgent(db: Kysely<Schema>, agent: NewAgent): Statement {
  const query = db
    .insertInto('agent')
    .values({ ...agent, workspace_id: workspace, status: 'active', revoked_at: null })
    .onConflict((conflict) => conflict.columns(['workspace_id', 'name']).doNothing())
    .compile()
  return { query, mustTouch: true }
}

/** Touches nothing when it is no active agent. Write it with `bumpsPolicy`. */
export function revokeAgent(db: Kysely<Schema>, id: string, nowMs: number): Statement {
  const query = db
    .updateTable('agent')
    .set({ status: 'revoked', revoked_at: nowMs })
    .where('workspace_id', '=', workspace)
    .where('id', '=', id)
    .where('status', '=', 'active')
    .compile()
  return { query, mustTouch: true }
}

/** An agent that ends unless its lease is renewed. */
export type LeasedAgent = Pick<AgentRow, 'id' | 'name'> & {
  readonly lease_seconds: number
  readonly lives_until: number
}

/** The active ones: as many as processes that run with one. */
export const listLeasedAgents = (db: Kysely<Schema>): Promise<LeasedAgent[]> =>
  db
    .selectFrom('agent')
    .select(['id', 'name', 'lease_seconds', 'lives_until'])
    .where('workspace_id', '=', workspace)
    .where('status', '=', 'active')
    .where('lives_until', 'is not', null)
    .$narrowType<{ lease_seconds: number; lives_until: number }>()
    .execute()

/** Touches nothing when it is no active agent with a lease: what has ended is never revived. */
export function renewLease(db: Kysely<Schema>, id: string, livesUntil: number): Statement {
  const query = db
    .updateTable('agent')
    .set({ lives_until: livesUntil })
    .where('workspace_id', '=', workspace)
    .where('id', '=', id)
    .where('status', '=', 'active')
    .where('lives_until', 'is not', null)
    .compile()
  return { query, mustTouch: true }
}

/**
 * Touches nothing when the lease was renewed or the agent revoked since it was read. Write it with
 * `bumpsPolicy`.
 */
export function revokeLapsedAgent(
  db: Kysely<Schema>,
  { id, lives_until: livesUntil }: LeasedAgent,
  nowMs: number,
): Statement {
  const query = db
    .updateTable('agent')
    .set({ status: 'revoked', revoked_at: nowMs })
    .where('workspace_id', '=', workspace)
    .where('id', '=', id)
    .where('status', '=', 'active')
    .where('lives_until', '=', livesUntil)
    .compile()
  return { query, mustTouch: true }
}

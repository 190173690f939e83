import type { Kysely } from 'kysely'
import { workspace } from '../words.ts'
import type { AgentRow, Schema } from './schema.ts'
import type { Statement } from './store.ts'

export const listAgents = (db: Kysely<Schema>): Promise<AgentRow[]> =>
  db
    .selectFrom('agent')
    .selectAll()
    .where('workspace_id', '=', workspace)
    .orderBy('created_at')
    .orderBy('id')
    .execute()

/** The agent of this id, or else of this name. */
export const findAgent = (db: Kysely<Schema>, idOrName: string): Promise<AgentRow | undefined> =>
  db
    .selectFrom('agent')
    .selectAll()
    .where('workspace_id', '=', workspace)
    .where((column) => column.or({ id: idOrName, name: idOrName }))
    .orderBy((column) => column('id', '=', idOrName), 'desc')
    .executeTakeFirst()

/** A new, active agent; touches nothing when the name is taken. */
export function insertAgent(
  db: Kysely<Schema>,
  agent: Pick<AgentRow, 'id' | 'name' | 'created_at'>,
): Statement {
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

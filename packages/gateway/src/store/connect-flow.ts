import type { Kysely } from 'kysely'
import { workspace } from '../words.ts'
import type { ConnectFlowRow, Schema } from './schema.ts'
import type { Statement } from './store.ts'

type FlowKey = Pick<ConnectFlowRow, 'id'> | Pick<ConnectFlowRow, 'link_hash'> | StateKey
type StateKey = { readonly state_hash: string }

export const findFlow = (db: Kysely<Schema>, key: FlowKey): Promise<ConnectFlowRow | undefined> =>
  db
    .selectFrom('connect_flow')
    .selectAll()
    .where('workspace_id', '=', workspace)
    .where((column) => column.and(key))
    .executeTakeFirst()

export function insertFlow(
  db: Kysely<Schema>,
  flow: Omit<ConnectFlowRow, 'workspace_id'>,
): Statement {
  return {
    query: db
      .insertInto('connect_flow')
      .values({ ...flow, workspace_id: workspace })
      .compile(),
  }
}

/** Gives the flow its state and its browser; touches nothing when it has them already. */
export function openFlow(
  db: Kysely<Schema>,
  flow: Pick<ConnectFlowRow, 'id' | 'state_hash' | 'cookie_hash' | 'expires_at'>,
): Statement {
  const { id, ...opened } = flow
  const query = db
    .updateTable('connect_flow')
    .set(opened)
    .where('workspace_id', '=', workspace)
    .where('id', '=', id)
    .where('state_hash', 'is', null)
    .where('used_at', 'is', null)
    .compile()
  return { query, mustTouch: true }
}

/** Takes the flow's one use; touches nothing when it is gone. */
export function claimFlow(db: Kysely<Schema>, id: string, nowMs: number): Statement {
  const query = db
    .updateTable('connect_flow')
    .set({ used_at: nowMs })
    .where('workspace_id', '=', workspace)
    .where('id', '=', id)
    .where('used_at', 'is', null)
    .compile()
  return { query, mustTouch: true }
}

/**
 * Ends a claimed flow: it keeps no verifier and no browser, and names the connection that came of
 * it; null when it failed.
 */
export function endFlow(
  db: Kysely<Schema>,
  { id, connection_id }: Pick<ConnectFlowRow, 'id' | 'connection_id'>,
): Statement {
  const query = db
    .updateTable('connect_flow')
    .set({ connection_id, cookie_hash: null, sealed_verifier: null })
    .where('workspace_id', '=', workspace)
    .where('id', '=', id)
    .compile()
  return { query }
}

/** Flows whose time was over before `beforeMs`: nothing can come of them any more. */
export function deleteOldFlows(db: Kysely<Schema>, beforeMs: number): Statement {
  const query = db
    .deleteFrom('connect_flow')
    .where('workspace_id', '=', workspace)
    .where('expires_at', '<', beforeMs)
    .compile()
  return { query }
}

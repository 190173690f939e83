import type { Kysely } from 'kysely'
import { workspace } from '../words.ts'
import type { ConnectionRow, GrantRow, Schema } from './schema.ts'
import type { Statement } from './store.ts'

const connections = (db: Kysely<Schema>) =>
  db.selectFrom('connection').selectAll().where('workspace_id', '=', workspace)

/** Removed ones too. */
export const findConnection = (
  db: Kysely<Schema>,
  id: string,
): Promise<ConnectionRow | undefined> => connections(db).where('id', '=', id).executeTakeFirst()

/** The one of this label that was not removed. */
export const findConnectionByLabel = (
  db: Kysely<Schema>,
  { provider, label }: Pick<ConnectionRow, 'provider' | 'label'>,
): Promise<ConnectionRow | undefined> =>
  connections(db)
    .where('provider', '=', provider)
    .where('label', '=', label)
    .where('status', '!=', 'removed')
    .executeTakeFirst()

export type ConnectionPage = {
  readonly provider?: string | undefined
  /** The last connection of the page before. */
  readonly after?: Pick<ConnectionRow, 'created_at' | 'id'> | undefined
  readonly limit: number
}

/** Those that were not removed, oldest first. */
export function listConnections(
  db: Kysely<Schema>,
  { provider, after, limit }: ConnectionPage,
): Promise<ConnectionRow[]> {
  let query = connections(db).where('status', '!=', 'removed')
  if (provider !== undefined) query = query.where('provider', '=', provider)
  if (after !== undefined) {
    query = query.where((column) =>
      column.or([
        column('created_at', '>', after.created_at),
        column.and([column('created_at', '=', after.created_at), column('id', '>', after.id)]),
      ]),
    )
  }
  return query.orderBy('created_at').orderBy('id').limit(limit).execute()
}

/** The ids and agents of the grants that `bindWaitingGrants` of grant.ts would bind. */
export const listWaitingGrants = (
  db: Kysely<Schema>,
  provider: string,
): Promise<Pick<GrantRow, 'id' | 'agent_id'>[]> =>
  db
    .selectFrom('grant')
    .select(['id', 'agent_id'])
    .where('workspace_id', '=', workspace)
    .where('provider', '=', provider)
    .where('connection_id', 'is', null)
    .where('owner', 'is', null)
    .orderBy('id')
    .execute()

/** Touches nothing when the label is taken. */
export function insertConnection(
  db: Kysely<Schema>,
  connection: Omit<ConnectionRow, 'workspace_id'>,
): Statement {
  const query = db
    .insertInto('connection')
    .values({ ...connection, workspace_id: workspace })
    .onConflict((conflict) => conflict.doNothing())
    .compile()
  return { query, mustTouch: true }
}

type ConnectionChange = Partial<Omit<ConnectionRow, 'workspace_id' | 'id' | 'version'>>

/**
 * Changes a connection that is still of this version, else touches nothing: the compare-and-swap
 * of every write of a credential. The version grows by one, also when it is removed.
 */
export function changeConnection(
  db: Kysely<Schema>,
  { id, version }: Pick<ConnectionRow, 'id' | 'version'>,
  change: ConnectionChange,
): Statement {
  const query = db
    .updateTable('connection')
    .set({ ...change, version: version + 1 })
    .where('workspace_id', '=', workspace)
    .where('id', '=', id)
    .where('version', '=', version)
    .compile()
  return { query, mustTouch: true }
}

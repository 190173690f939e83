import type { Kysely } from 'kysely'
import { workspace } from '../words.ts'
import type { ApplicationRow, Schema } from './schema.ts'
import type { Statement } from './store.ts'

/** Oldest first; of one provider when it is named. */
export function listApplications(
  db: Kysely<Schema>,
  provider: string | null = null,
): Promise<ApplicationRow[]> {
  const all = db.selectFrom('application').selectAll().where('workspace_id', '=', workspace)
  const some = provider === null ? all : all.where('provider', '=', provider)
  return some.orderBy('created_at').orderBy('id').execute()
}

export const findApplication = (
  db: Kysely<Schema>,
  id: string,
): Promise<ApplicationRow | undefined> =>
  db
    .selectFrom('application')
    .selectAll()
    .where('workspace_id', '=', workspace)
    .where('id', '=', id)
    .executeTakeFirst()

/** Touches nothing when the client id is already there for this provider. */
export function insertApplication(
  db: Kysely<Schema>,
  application: Omit<ApplicationRow, 'workspace_id'>,
): Statement {
  const query = db
    .insertInto('application')
    .values({ ...application, workspace_id: workspace })
    .onConflict((conflict) => conflict.doNothing())
    .compile()
  return { query, mustTouch: true }
}

export function replaceApplicationSecret(
  db: Kysely<Schema>,
  { id, sealed_secret }: Pick<ApplicationRow, 'id' | 'sealed_secret'>,
): Statement {
  const query = db
    .updateTable('application')
    .set({ sealed_secret })
    .where('workspace_id', '=', workspace)
    .where('id', '=', id)
    .compile()
  return { query, mustTouch: true }
}

/** Null, null for the provider file's limit; 0, 0 for none. */
export function changeApplicationLimit(
  db: Kysely<Schema>,
  { id, ...limit }: Pick<ApplicationRow, 'id' | 'limit_requests' | 'limit_seconds'>,
): Statement {
  const query = db
    .updateTable('application')
    .set(limit)
    .where('workspace_id', '=', workspace)
    .where('id', '=', id)
    .compile()
  return { query, mustTouch: true }
}

/** Touches nothing while a connection that was not removed is renewed through it. */
export function deleteApplication(db: Kysely<Schema>, id: string): Statement {
  const query = db
    .deleteFrom('application')
    .where('workspace_id', '=', workspace)
    .where('id', '=', id)
    .where(({ exists, not, selectFrom }) =>
      not(
        exists(
          selectFrom('connection')
            .select('connection.id')
            .where('connection.workspace_id', '=', workspace)
            .where('connection.application_id', '=', id)
            .where('connection.status', '!=', 'removed'),
        ),
      ),
    )
    .compile()
  return { query, mustTouch: true }
}

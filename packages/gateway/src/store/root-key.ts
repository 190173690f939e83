import type { Kysely } from 'kysely'
import { workspace } from '../words.ts'
import type { RootKeyRow, Schema } from './schema.ts'
import type { Statement } from './store.ts'

/** The root keys that this database's values were sealed with, oldest first. */
export function listRootKeys(db: Kysely<Schema>): Promise<RootKeyRow[]> {
  return db
    .selectFrom('root_key')
    .selectAll()
    .where('workspace_id', '=', workspace)
    .orderBy('created_at')
    .execute()
}

/**
 * Makes a root key the one of this database; touches nothing when there is one already. Write
 * it with `bumpsPolicy`, whose lock makes of two first starts one after the other.
 */
export function insertFirstRootKey(
  db: Kysely<Schema>,
  key: Omit<RootKeyRow, 'workspace_id'>,
): Statement {
  const known = db.selectFrom('root_key').select('id').where('workspace_id', '=', workspace)
  const row = db
    .selectNoFrom(({ val }) => [
      val(workspace).as('workspace_id'),
      val(key.id).as('id'),
      val(key.sealed_check).as('sealed_check'),
      val(key.created_at).as('created_at'),
    ])
    .where(({ exists, not }) => not(exists(known)))
  const query = db
    .insertInto('root_key')
    .columns(['workspace_id', 'id', 'sealed_check', 'created_at'])
    .expression(row)
    .compile()
  return { query, mustTouch: true }
}

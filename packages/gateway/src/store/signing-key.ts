import type { Kysely } from 'kysely'
import { workspace } from '../words.ts'
import type { Schema, SigningKeyRow } from './schema.ts'
import type { Statement } from './store.ts'

type Purpose = SigningKeyRow['purpose']

/** Newest first, retired ones too. */
export const listSigningKeys = (db: Kysely<Schema>, purpose: Purpose): Promise<SigningKeyRow[]> =>
  db
    .selectFrom('signing_key')
    .selectAll()
    .where('workspace_id', '=', workspace)
    .where('purpose', '=', purpose)
    .orderBy('created_at', 'desc')
    .orderBy('id')
    .execute()

export function insertSigningKey(
  db: Kysely<Schema>,
  key: Omit<SigningKeyRow, 'workspace_id' | 'retired_at'>,
): Statement {
  const row = { ...key, workspace_id: workspace, retired_at: null }
  return { query: db.insertInto('signing_key').values(row).compile() }
}

/** Retires every key of this purpose. Write it with `bumpsPolicy`, and a new key in the same write. */
export function retireSigningKeys(db: Kysely<Schema>, purpose: Purpose, nowMs: number): Statement {
  const query = db
    .updateTable('signing_key')
    .set({ retired_at: nowMs })
    .where('workspace_id', '=', workspace)
    .where('purpose', '=', purpose)
    .where('retired_at', 'is', null)
    .compile()
  return { query }
}

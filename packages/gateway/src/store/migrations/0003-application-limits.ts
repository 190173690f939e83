import type { Kysely } from 'kysely'

/** What an application may do, what was taken out of it, and how long it has to wait. */
export async function up(db: Kysely<unknown>): Promise<void> {
  // Both null: the provider file's limit. Both 0: none.
  for (const column of ['limit_requests', 'limit_seconds']) {
    await db.schema.alterTable('application').addColumn(column, 'bigint').execute()
  }

  await db.schema
    .createTable('call_budget')
    .addColumn('workspace_id', 'text', (column) => column.notNull())
    .addColumn('id', 'text', (column) => column.notNull())
    .addColumn('version', 'bigint', (column) => column.notNull())
    .addColumn('paused_until', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('call_budget_key', ['workspace_id', 'id'] as never[])
    .execute()

  await db.schema
    .createTable('call_chunk')
    .addColumn('workspace_id', 'text', (column) => column.notNull())
    .addColumn('budget_id', 'text', (column) => column.notNull())
    .addColumn('id', 'text', (column) => column.notNull())
    .addColumn('agent_id', 'text', (column) => column.notNull())
    .addColumn('units', 'bigint', (column) => column.notNull())
    .addColumn('usable_until', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('call_chunk_key', ['workspace_id', 'budget_id', 'id'] as never[])
    .execute()
}

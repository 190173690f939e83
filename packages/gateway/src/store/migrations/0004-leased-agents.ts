import type { Kysely } from 'kysely'

/** An agent may be there for a while only: it ends unless somebody goes on saying that it lives. */
export async function up(db: Kysely<unknown>): Promise<void> {
  // One column in one statement: SQLite adds no more at once.
  await db.schema.alterTable('agent').addColumn('lease_seconds', 'integer').execute()
  await db.schema.alterTable('agent').addColumn('lives_until', 'bigint').execute()
  // The sweep looks twice a second, past all agents that have ended.
  await db.schema
    .createIndex('agent_by_lives_until')
    .on('agent')
    .columns(['workspace_id', 'status', 'lives_until'])
    .execute()
}

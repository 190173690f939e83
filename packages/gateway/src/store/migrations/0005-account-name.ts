import type { Kysely } from 'kysely'

/** What people know a connected account by, beside the id that no rename changes. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('connection').addColumn('account_name', 'text').execute()
}

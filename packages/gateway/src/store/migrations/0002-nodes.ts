import { type Kysely, sql } from 'kysely'

/** What many nodes on one database need to know of each other's boots. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('boot')
    .addColumn('open_attempts', 'text', (column) => column.notNull().defaultTo('[]'))
    .execute()
  await db.schema.alterTable('boot').addColumn('done_at', 'bigint').execute()
  // Until now a boot was closed in the same write that gave its attempts their outcomes.
  await sql`update boot set done_at = closed_at`.execute(db)
  await db.schema
    .createIndex('boot_not_done')
    .on('boot')
    .columns(['workspace_id', 'node', 'boot'])
    .where('done_at' as never, 'is', null)
    .execute()
}

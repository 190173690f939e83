import type { Kysely } from 'kysely'
import type { Schema } from '../schema.ts'
import type { CommitGroup } from '../writer.ts'

/** What a dialect makes of a database: reading, and committing groups for one boot. */
export type Database = {
  readonly db: Kysely<Schema>
  /** Called once, before the first commit: what is committed is numbered under this boot. */
  startBoot(boot: { readonly node: string; readonly boot: string }): Promise<void>
  readonly commit: CommitGroup
  close(): Promise<void>
}

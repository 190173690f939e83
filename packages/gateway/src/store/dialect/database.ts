import type { Kysely } from 'kysely'
import { Malfunction } from '../../errors.ts'
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

/** What a failed read becomes: the request is refused with 503, and the cause goes to the log. */
export const unreadable = (cause: unknown): Malfunction =>
  new Malfunction('store_unavailable', 'The database cannot be read just now. Try again shortly.', {
    cause,
  })

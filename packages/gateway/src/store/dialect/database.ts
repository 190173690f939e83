import type { Kysely } from 'kysely'
import { Malfunction } from '../../errors.ts'
import type { Schema } from '../schema.ts'
import type { Doubt } from '../store.ts'
import type { CommitGroup } from '../writer.ts'

/** A run of one process: its records are numbered under it. */
export type Boot = { readonly node: string; readonly boot: string }

/** What a dialect makes of a database: reading, and committing groups for one boot. */
export type Database = {
  readonly db: Kysely<Schema>
  /** Called once, before the first commit: what is committed is numbered under this boot. */
  startBoot(boot: Boot): Promise<void>
  readonly commit: CommitGroup
  /** Schema changes may take their time: on PostgreSQL they run in a session without timeouts. */
  migrate(work: (db: Kysely<Schema>) => Promise<void>): Promise<void>
  doubts(): Promise<readonly Doubt[]>
  close(): Promise<void>
}

/**
 * Another node took this boot for dead and gave its attempts their outcomes. Nothing may be written
 * under it any more: the process has to start again.
 */
export class BootClosed extends Error {
  constructor() {
    super('another node took this one for dead, because it was silent for too long')
  }
}

/** What a failed read becomes: the request is refused with 503, and the cause goes to the log. */
export const unreadable = (cause: unknown): Malfunction =>
  new Malfunction('store_unavailable', 'The database cannot be read just now. Try again shortly.', {
    cause,
  })

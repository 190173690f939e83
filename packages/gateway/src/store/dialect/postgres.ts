import { Kysely, PostgresDialect, sql } from 'kysely'
import pg from 'pg'
import type { Schema } from '../schema.ts'
import type { Doubt } from '../store.ts'
import type { Database } from './database.ts'
import { hearErrors, openReaders } from './postgres-session.ts'
import { createPostgresWriter, type PostgresListeners } from './postgres-writer.ts'

/**
 * Opens a PostgreSQL database. Reads use a pool; all writes of a boot go through one session of
 * their own.
 */
export function openPostgres(url: string, listeners: PostgresListeners): Database {
  const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool: openReaders(url) }) })
  let writer: ReturnType<typeof createPostgresWriter> | null = null
  return {
    db,
    migrate: (work) => migrate(url, work),
    doubts: () => findDoubts(db),
    startBoot: async (boot) => {
      writer = createPostgresWriter({ url, boot }, listeners)
    },
    commit: async (group) => {
      if (!writer) throw new Error('no boot yet')
      return await writer.commit(group)
    },
    close: async () => {
      await writer?.close()
      await db.destroy()
    },
  }
}

/** In a session of its own: an index over a long log takes longer than a request may. */
async function migrate(url: string, work: (db: Kysely<Schema>) => Promise<void>): Promise<void> {
  const pool = new pg.Pool({ connectionString: url, max: 1, connectionTimeoutMillis: 5_000 })
  hearErrors(pool)
  const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) })
  try {
    await work(db)
  } finally {
    await db.destroy()
  }
}

/** What the server's own settings make of a commit (postgresql.org/docs, "WAL: Settings"). */
const doubtful: Readonly<Record<string, Pick<Doubt, 'state' | 'message'>>> = {
  fsync: {
    state: 'fail',
    message: 'a crash of the machine loses records that were promised to be durable',
  },
  full_page_writes: {
    state: 'warn',
    message: 'a crash of the machine can tear pages, unless its file system never does',
  },
}

async function findDoubts(db: Kysely<Schema>): Promise<readonly Doubt[]> {
  const { rows } = await sql<{ name: string; setting: string }>`
    select name, setting from pg_settings
    where name in ('fsync', 'full_page_writes') and setting = 'off' order by name`.execute(db)
  return rows.flatMap(({ name, setting }) => {
    const known = doubtful[name]
    return known ? [{ setting: name, value: setting, ...known }] : []
  })
}

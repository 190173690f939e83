import { Migrator } from 'kysely/migration'
import { draftRecord, saltBytes } from '../audit/record.ts'
import { Malfunction } from '../errors.ts'
import { type Clock, type Random, workspace } from '../words.ts'
import type { Database } from './dialect/database.ts'
import { openSqlite } from './dialect/sqlite.ts'
import { migrations } from './migrations/migrations.ts'
import type { Store } from './store.ts'
import { createWriter } from './writer.ts'

export type Place =
  | { readonly kind: 'sqlite'; readonly path: string }
  | { readonly kind: 'postgres'; readonly url: string }

export type StoreContext = {
  /** Stable name of this node; its records carry it. */
  readonly node: string
  readonly gatewayVersion: string
  readonly clock: Clock
  readonly random: Random
  /** Told when the database must not be used any more: the process must end. */
  readonly onFatal?: (error: Error) => void
}

/**
 * Opens the database, brings its schema up to date and begins a boot of this node. Throws
 * Malfunction `store_unavailable` when it can't be reached or is from a newer okoro.
 */
export async function openStore(place: Place, context: StoreContext): Promise<Store> {
  const { node, clock, random, gatewayVersion } = context
  const onFatal = context.onFatal ?? (() => {})
  const database = await openDatabase(place, onFatal)
  const boot = `${clock().toString(36)}-${Buffer.from(random(6)).toString('hex')}`
  const { db } = database
  try {
    await migrate(db)
    await db
      .insertInto('boot')
      .values({
        ...{ workspace_id: workspace, node, boot, settled: 0, closed_at: null },
        ...{ started_at: clock(), seen_at: clock() },
      })
      .execute()
    await database.startBoot({ node, boot })
  } catch (cause) {
    await database.close().catch(() => {})
    throw unreachable(place, cause)
  }
  const { epoch } = await db
    .selectFrom('policy')
    .select('epoch')
    .where('workspace_id', '=', workspace)
    .executeTakeFirstOrThrow()
  const writer = createWriter(database.commit, Number(epoch))
  const nextSalt = () => random(saltBytes)
  return {
    node,
    boot,
    dialect: place.kind,
    db,
    write: writer.write,
    policyEpoch: writer.policyEpoch,
    owe: writer.owe,
    isWritable: writer.isWritable,
    probe: async () => {
      if (writer.isWritable()) return
      await writer.write({ statements: [{ query: touchBoot(db, { node, boot }) }], records: [] })
    },
    draft: (fields) =>
      draftRecord(fields, { node, boot, gatewayVersion, timeMs: clock() }, nextSalt),
    close: async () => {
      await writer.drain()
      await database.close()
    },
  }
}

/** Changes nothing, and has to be written all the same. */
const touchBoot = (
  db: Store['db'],
  { node, boot }: { readonly node: string; readonly boot: string },
) =>
  db
    .updateTable('boot')
    .set((row) => ({ seen_at: row.ref('seen_at') }))
    .where('workspace_id', '=', workspace)
    .where('node', '=', node)
    .where('boot', '=', boot)
    .compile()

/** The driver of PostgreSQL takes 10 MB: it is loaded by those who use it. */
async function openDatabase(place: Place, onFatal: (error: Error) => void): Promise<Database> {
  if (place.kind === 'sqlite') return openSqlite(place.path, onFatal)
  const { openPostgres } = await import('./dialect/postgres.ts')
  return openPostgres(place.url)
}

async function migrate(db: Store['db']): Promise<void> {
  const { error } = await new Migrator({
    db,
    provider: { getMigrations: async () => migrations },
  }).migrateToLatest()
  if (error) throw error
  await db
    .insertInto('policy')
    .values({ workspace_id: workspace, epoch: 0 })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

function unreachable(place: Place, cause: unknown): Malfunction {
  const where = place.kind === 'sqlite' ? place.path : 'OKORO_DATABASE_URL'
  const inner = cause instanceof Malfunction ? cause.cause : cause
  const why = inner instanceof Error ? inner.message : String(inner)
  return new Malfunction('store_unavailable', `The database at ${where} can't be used: ${why}`, {
    cause,
  })
}

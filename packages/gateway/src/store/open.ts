import { Migrator } from 'kysely/migration'
import { draftRecord, saltBytes, unfinished } from '../audit/record.ts'
import { Malfunction } from '../errors.ts'
import { type Clock, type Random, workspace } from '../words.ts'
import type { Numbered } from './commit.ts'
import { databaseTime } from './database-time.ts'
import type { Database } from './dialect/database.ts'
import type { PostgresListeners } from './dialect/postgres-writer.ts'
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
  const onLateStand = (records: readonly Numbered[]) => oweOutcomes(store, records)
  const database = await openDatabase(place, { onFatal, onLateStand })
  const boot = `${clock().toString(36)}-${Buffer.from(random(6)).toString('hex')}`
  const { db } = database
  try {
    await database.migrate(migrate)
    const now = databaseTime({ dialect: place.kind })
    await db
      .insertInto('boot')
      .values({
        ...{ workspace_id: workspace, node, boot, settled: 0, open_attempts: '[]' },
        ...{ started_at: clock(), seen_at: now, closed_at: null, done_at: null },
      })
      .execute()
    await database.startBoot({ node, boot })
  } catch (cause) {
    await database.close().catch(() => {})
    throw unreachable(place, cause)
  }
  const writer = createWriter(database.commit, await findPolicyEpoch(db))
  const nextSalt = () => random(saltBytes)
  const store: Store = {
    node,
    boot,
    dialect: place.kind,
    db,
    write: writer.write,
    owe: writer.owe,
    policyEpoch: writer.policyEpoch,
    isWritable: writer.isWritable,
    probe: async () => {
      if (writer.isWritable()) return
      await writer.write({ statements: [{ query: touchBoot(db, { node, boot }) }], records: [] })
    },
    readPolicyEpoch: async () => {
      writer.learn(await findPolicyEpoch(db))
      return writer.policyEpoch()
    },
    doubts: database.doubts,
    draft: (fields) =>
      draftRecord(fields, { node, boot, gatewayVersion, timeMs: clock() }, nextSalt),
    close: async () => {
      await writer.drain()
      await database.close()
    },
  }
  return store
}

async function findPolicyEpoch(db: Store['db']): Promise<number> {
  const { epoch } = await db
    .selectFrom('policy')
    .select('epoch')
    .where('workspace_id', '=', workspace)
    .executeTakeFirstOrThrow()
  return Number(epoch)
}

/** Their callers were refused, so nothing was sent: the attempts end here. */
function oweOutcomes(store: Store, records: readonly Numbered[]): void {
  for (const { draft, n } of records) {
    if (!draft.opens) continue
    const { requestId: request_id, attemptNo: attempt_no } = draft
    store.owe(
      store.draft({
        ...{ kind: 'outcome', request_id, attempt_no, closes: n },
        ...unfinished('audit_unavailable'),
      }),
    )
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
async function openDatabase(place: Place, listeners: PostgresListeners): Promise<Database> {
  if (place.kind === 'sqlite') return openSqlite(place.path, listeners.onFatal)
  const { openPostgres } = await import('./dialect/postgres.ts')
  return openPostgres(place.url, listeners)
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

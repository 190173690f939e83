import { Worker } from 'node:worker_threads'
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Driver,
  Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import type { Touched } from '../commit.ts'
import type { Schema } from '../schema.ts'
import { type Boot, type Database, unreadable } from './database.ts'
import { isFsyncFailure } from './fsync-failure.ts'
import { type Parcel, type ResultParcel, unwrapResults, wrapWrites } from './parcel.ts'

/** What the main thread asks of the worker, and what comes back. */
export type Ask =
  | { readonly kind: 'query'; readonly sql: string; readonly parameters: readonly unknown[] }
  | { readonly kind: 'boot'; readonly boot: Boot }
  | { readonly kind: 'commit'; readonly group: Parcel }
  | { readonly kind: 'close' }
export type Answer =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly message: string; readonly errcode: number }

/** An error of SQLite: `errcode` is its extended result code (sqlite.org/rescode.html). */
export class SqliteError extends Error {
  readonly errcode: number

  constructor(message: string, errcode: number) {
    super(message)
    this.name = 'SqliteError'
    this.errcode = errcode
  }
}

/**
 * Opens the embedded database in a worker of its own: the main loop never waits for a disk.
 * `onFatal` is told when the database must not be used any more: a failed fsync may have lost
 * what the next one would claim to be safe.
 */
export function openSqlite(path: string, onFatal: (error: Error) => void): Database {
  const file = import.meta.url.endsWith('.ts') ? './sqlite-worker.ts' : './sqlite-worker.js'
  const worker = new Worker(new URL(file, import.meta.url), { workerData: { path } })
  const asked = createSlots<PromiseWithResolvers<unknown>>()
  let isGone = false
  let hasBegun = false

  const fail = (error: Error) => {
    for (const { reject } of asked.takeAll()) reject(error)
  }
  worker.on('message', (answer: Answer) => {
    const pending = asked.take(answer.id)
    if (answer.ok) {
      pending?.resolve(answer.value)
      return
    }
    const error = new SqliteError(answer.message, answer.errcode)
    if (isFsyncFailure(error)) onFatal(error)
    pending?.reject(error)
  })
  worker.on('error', (error: Error) => {
    fail(error)
    // Before the first boot nothing was promised yet: whoever opens the file is told.
    if (hasBegun) onFatal(error)
  })
  worker.on('exit', () => {
    isGone = true
    fail(new Error('the database was closed'))
  })

  const ask = <Value>(what: Ask): Promise<Value> => {
    if (isGone) return Promise.reject(new Error('the database was closed'))
    const pending = Promise.withResolvers<unknown>()
    worker.postMessage({ id: asked.put(pending), ask: what })
    return pending.promise as Promise<Value>
  }

  const driver = createDriver(({ sql, parameters }) =>
    ask<Touched>({ kind: 'query', sql, parameters }).catch((cause) => {
      throw unreadable(cause)
    }),
  )
  const db = new Kysely<Schema>({
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createDriver: () => driver,
      createIntrospector: (kysely) => new SqliteIntrospector(kysely),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    },
  })
  return {
    db,
    startBoot: async (boot) => {
      await ask({ kind: 'boot', boot })
      hasBegun = true
    },
    migrate: (work) => work(db),
    doubts: async () => [],
    commit: async (group) =>
      unwrapResults(await ask<ResultParcel>({ kind: 'commit', group: wrapWrites(group) })),
    close: async () => {
      if (isGone) return
      const gone = new Promise((resolve) => worker.once('exit', resolve))
      await ask({ kind: 'close' })
      await gone
    },
  }
}

/**
 * What is asked and not yet answered, by its place. A Map would do but for the garbage: see
 * `createCallsUnderWay` (proxy/calls-under-way.ts) for what an outgrown table keeps alive.
 */
function createSlots<Item>() {
  const items: (Item | null)[] = []
  const free: number[] = []
  return {
    put: (item: Item): number => {
      const at = free.pop() ?? items.length
      items[at] = item
      return at
    },
    take: (at: number): Item | null => {
      const item = items[at] ?? null
      if (item === null) return null
      items[at] = null
      free.push(at)
      return item
    },
    takeAll: (): readonly Item[] => {
      free.length = 0
      return items.splice(0).filter((item) => item !== null)
    },
  }
}

/** Transactions through Kysely serve migrations alone, before the writer begins. */
function createDriver(execute: (query: CompiledQuery) => Promise<Touched>): Driver {
  const connection: DatabaseConnection = {
    async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
      const { rows, count } = await execute(query)
      return { rows: rows as Row[], numAffectedRows: BigInt(count) }
    },
    streamQuery() {
      throw new Error('read in pages: a stream would hold up the writer')
    },
  }
  const raw = (sql: string) => execute({ sql, parameters: [] } as unknown as CompiledQuery)
  return {
    init: async () => {},
    acquireConnection: async () => connection,
    beginTransaction: async () => void (await raw('begin')),
    commitTransaction: async () => void (await raw('commit')),
    rollbackTransaction: async () => void (await raw('rollback')),
    releaseConnection: async () => {},
    destroy: async () => {},
  }
}

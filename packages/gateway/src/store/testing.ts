import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe } from 'node:test'
import pg from 'pg'
import type { Clock } from '../words.ts'
import { openStore, type Place } from './open.ts'
import type { Store } from './store.ts'

/**
 * For tests: the same suite on SQLite and on a PostgreSQL server of its own. Each `open` begins a
 * fresh database; `reopen` opens the last one once more, as the next boot would.
 */
export type OpenStores = {
  open(clock?: Clock, onFatal?: (error: Error) => void): Promise<Store>
  reopen(clock?: Clock): Promise<Store>
}

export function forEachStore(suite: (stores: OpenStores, dialect: string) => void): void {
  describe('on sqlite', () => suite(stores(sqlitePlaces()), 'sqlite'))
  describe('on postgres', () => suite(stores(postgresPlaces()), 'postgres'))
}

function stores(places: { fresh(): Promise<Place> }): OpenStores {
  let place: Place | null = null
  const opened: Store[] = []
  const context = (clock: Clock) => ({
    node: 'node-1',
    gatewayVersion: '0.0.0-test',
    clock,
    random: (size: number) => randomBytes(size),
  })
  const reopen = async (clock: Clock = Date.now, onFatal = (_: Error) => {}) => {
    place ??= await places.fresh()
    const store = await openStore(place, { ...context(clock), onFatal })
    opened.push(store)
    return store
  }
  after(async () => {
    for (const store of opened) await store.close().catch(() => {})
  })
  return {
    open: async (clock, onFatal) => {
      place = await places.fresh()
      return await reopen(clock, onFatal)
    },
    reopen: (clock) => reopen(clock),
  }
}

function sqlitePlaces() {
  const folder = mkdtempSync(join(tmpdir(), 'okoro-sqlite-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  let count = 0
  return {
    fresh: async (): Promise<Place> => {
      count += 1
      return { kind: 'sqlite', path: join(folder, `${count}.db`) }
    },
  }
}

function postgresPlaces() {
  let server: Promise<PostgresServer> | null = null
  after(async () => (await server)?.stop())
  let count = 0
  return {
    fresh: async (): Promise<Place> => {
      server ??= startPostgres()
      const { url } = await server
      count += 1
      const client = new pg.Client({ connectionString: `${url}/postgres` })
      await client.connect()
      await client.query(`create database okoro_${count}`)
      await client.end()
      return { kind: 'postgres', url: `${url}/okoro_${count}` }
    },
  }
}

export type PostgresServer = {
  /** Without a database name at its end. */
  readonly url: string
  readonly pid: number
  /** Ends it, and its data stays. SIGINT ends it in good order, SIGQUIT as a crash would, SIGKILL by one. */
  halt(signal?: 'SIGINT' | 'SIGQUIT' | 'SIGKILL'): Promise<void>
  /** Once more after `halt`, on the same port. */
  start(): Promise<void>
  /** Stops every process of it, as if its machine hung; connections are still accepted. */
  pause(): void
  resume(): void
  /** Ends it for good. */
  stop(): Promise<void>
}

/**
 * A server of its own on a free port, with fsync on unless `settings` say otherwise, in a temp
 * folder. PostgreSQL refuses to run as root.
 */
export async function startPostgres(
  settings: Readonly<Record<string, string>> = {},
): Promise<PostgresServer> {
  const bin = postgresBin()
  const folder = mkdtempSync(join(tmpdir(), 'okoro-postgres-'))
  const identity = unprivileged()
  chmodSync(folder, 0o777)
  const data = join(folder, 'data')
  const made = spawnSync(
    join(bin, 'initdb'),
    ['-D', data, '-U', 'okoro', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
    { ...identity, cwd: folder, encoding: 'utf8' },
  )
  if (made.status !== 0) throw new Error(`initdb: ${made.stderr || made.error?.message}`)
  const port = await freePort()
  const url = `postgres://okoro@127.0.0.1:${port}`
  const options = Object.entries({ listen_addresses: '127.0.0.1', ...settings })
  const begin = () =>
    spawn(
      join(bin, 'postgres'),
      [
        ...['-D', data, '-p', `${port}`, '-k', folder],
        ...options.flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ],
      { ...identity, cwd: folder, stdio: 'ignore' },
    )
  let child = begin()
  await answering(`${url}/postgres`)
  let paused: readonly number[] = []
  const resume = () => {
    for (const pid of paused) signalIfThere(pid, 'SIGCONT')
    paused = []
  }
  const halt = async (signal: 'SIGINT' | 'SIGQUIT' | 'SIGKILL' = 'SIGINT') => {
    resume()
    const exited = new Promise((resolve) => child.once('exit', resolve))
    child.kill(signal)
    await exited
  }
  return {
    url,
    get pid() {
      return child.pid ?? 0
    },
    halt,
    start: async () => {
      child = begin()
      await answering(`${url}/postgres`)
    },
    pause: () => {
      paused = [child.pid ?? 0, ...childrenOf(child.pid ?? 0)]
      for (const pid of paused) signalIfThere(pid, 'SIGSTOP')
    },
    resume,
    stop: async () => {
      // Nothing is kept: a checkpoint would be in vain.
      if (child.exitCode === null) await halt('SIGQUIT')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

const childrenOf = (pid: number): readonly number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)

function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended by itself.
  }
}

async function answering(url: string): Promise<void> {
  for (let left = 100; ; left -= 1) {
    const client = new pg.Client({ connectionString: url })
    try {
      await client.connect()
      await client.end()
      return
    } catch (error) {
      if (left === 0) throw error
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}

function postgresBin(): string {
  const root = '/usr/lib/postgresql'
  const versions = existsSync(root) ? readdirSync(root).sort().reverse() : []
  const folders = [
    ...versions.map((version) => join(root, version, 'bin')),
    ...(process.env.PATH ?? '').split(':'),
  ]
  const found = folders.find((folder) => existsSync(join(folder, 'initdb')))
  if (!found) throw new Error('PostgreSQL is missing: npm run test:all installs it')
  return found
}

/** initdb refuses root; the account of Debian's package, else `nobody`. */
function unprivileged(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {}
  for (const name of ['postgres', 'nobody']) {
    const uid = Number(spawnSync('id', ['-u', name], { encoding: 'utf8' }).stdout)
    const gid = Number(spawnSync('id', ['-g', name], { encoding: 'utf8' }).stdout)
    if (uid > 0) return { uid, gid }
  }
  throw new Error('no unprivileged account to run PostgreSQL under')
}

export const freePort = () =>
  new Promise<number>((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const address = probe.address()
      const port = typeof address === 'object' && address ? address.port : 0
      probe.close(() => resolve(port))
    })
  })

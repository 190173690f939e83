import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { after, before, describe } from 'node:test'
import pg from 'pg'
import {
  freePort,
  type PostgresServer,
  startPostgres,
} from '../packages/gateway/src/store/testing.ts'
import { type Balancer, startBalancer } from './balancer.ts'
import {
  type Admin,
  folder,
  type GatewayProcess,
  type SandboxProcess,
  startGateway,
  startSandbox,
} from './gateway.ts'

/**
 * For end-to-end tests: a gateway with its sandbox, in one of its two homes. Everything is there
 * from the first `before` or `test` of the suite on, and gone after its last.
 */
export type Home = {
  readonly dialect: 'sqlite' | 'postgres'
  /** A folder for whatever the suite needs to put somewhere. */
  readonly folder: string
  /** The public URL: a balancer, which hands each connection to the next node. */
  readonly url: string
  /** One process with SQLite, two with PostgreSQL. */
  readonly nodes: readonly [HomeNode, ...HomeNode[]]
  readonly sandbox: SandboxProcess
  /** The server behind the nodes; throws with SQLite. */
  readonly postgres: PostgresServer
  /** Speaks to the unix socket of the next node that runs. */
  readonly admin: Admin
  /** Everything that the nodes have logged. */
  log(): string
  /** Everything that lies in the database, as text: to look for what must not be in it. */
  contents(): Promise<string>
}

/** One process of the gateway. It can die and come back, on the same folder and port. */
export type HomeNode = {
  readonly name: string
  readonly dataDir: string
  /** Its own address, past the balancer. */
  readonly url: string
  readonly env: Readonly<Record<string, string>>
  readonly admin: Admin
  readonly pid: number
  readonly isRunning: boolean
  /** Resolves with the exit code of its present run, or the signal's name. */
  readonly ended: Promise<number | string>
  log(): string
  start(changes?: Readonly<Record<string, string>>): Promise<void>
  kill(signal?: NodeJS.Signals): Promise<number | string>
  /** SIGSTOP; the balancer passes it over, as one that looks after its nodes would. */
  pause(): void
  resume(): void
}

export type HomeOptions = {
  /** Settings of every node, besides those that make it a home. */
  readonly env?: Readonly<Record<string, string>>
  /** Starts further stand-ins; resolves with their URLs, by provider. */
  readonly standIns?: () => Promise<Readonly<Record<string, string>>>
}

/** Runs a suite on SQLite with one process and on PostgreSQL with two behind a balancer. */
export function forEachHome(suite: (home: Home) => void, options: HomeOptions = {}): void {
  describe('on sqlite', () => suite(createHome('sqlite', options)))
  describe('on postgres, two nodes', () => suite(createHome('postgres', options)))
}

/** Registers the start and the end of a home with the suite around it. */
export function createHome(dialect: Home['dialect'], options: HomeOptions = {}): Home {
  const place = folder()
  let postgres: PostgresServer | null = null
  let sandbox: SandboxProcess | null = null
  let balancer: Balancer | null = null
  let nodes: readonly OwnNode[] = []
  let turn = 0

  before(async () => {
    if (dialect === 'postgres') postgres = await startPostgres()
    sandbox = await startSandbox(`${place.path}/sandbox`)
    balancer = await startBalancer(() => nodes.filter(({ isInTurn }) => isInTurn).map(portOf))
    const sandboxes = { withings: sandbox.found.url, ...(await options.standIns?.()) }
    const shared = {
      OKORO_SANDBOX: Object.entries(sandboxes)
        .map(([provider, url]) => `${provider}=${url}`)
        .join(','),
      OKORO_PUBLIC_URL: balancer.url,
      ...(postgres && {
        OKORO_DATABASE_URL: `${postgres.url}/postgres`,
        OKORO_MASTER_KEY: randomBytes(32).toString('base64'),
      }),
      ...options.env,
    }
    const names = dialect === 'sqlite' ? ['node-1'] : ['node-1', 'node-2']
    nodes = await Promise.all(names.map((name) => createNode(name, place.path, shared)))
    for (const node of nodes) await node.start()
  })
  after(async () => {
    // SIGKILL ends a stopped process too, and nothing here is worth a grace period.
    await Promise.all(nodes.map((node) => node.kill('SIGKILL')))
    await balancer?.close()
    await sandbox?.kill()
    await postgres?.stop()
    place.remove()
  })

  return {
    dialect,
    folder: place.path,
    get url() {
      return there(balancer).url
    },
    get nodes() {
      const [first, ...others] = nodes
      return [there(first), ...others] as const
    },
    get sandbox() {
      return there(sandbox)
    },
    get postgres() {
      return there(postgres)
    },
    admin: (method, path, body) => {
      const running = nodes.filter(({ isInTurn }) => isInTurn)
      return there(running[turn++ % running.length]).admin(method, path, body)
    },
    log: () => nodes.map((node) => node.log()).join(''),
    contents: () =>
      postgres ? rowsOf(`${postgres.url}/postgres`) : Promise.resolve(filesOf(nodes[0]?.dataDir)),
  }
}

type OwnNode = HomeNode & { readonly isInTurn: boolean }

async function createNode(
  name: string,
  place: string,
  shared: Readonly<Record<string, string>>,
): Promise<OwnNode> {
  const port = await freePort()
  const dataDir = `${place}/${name}`
  const env = { ...shared, OKORO_NODE: name, OKORO_PORT: `${port}` }
  const url = `http://127.0.0.1:${port}`
  let run: GatewayProcess | null = null
  let isRunning = false
  let isPaused = false
  let logged = ''
  const signal = (name: 'SIGSTOP' | 'SIGCONT') => {
    isPaused = name === 'SIGSTOP'
    process.kill(there(run).pid, name)
  }
  return {
    ...{ name, dataDir, url, env },
    get pid() {
      return there(run).pid
    },
    get isRunning() {
      return isRunning
    },
    get isInTurn() {
      return isRunning && !isPaused
    },
    get ended() {
      return there(run).ended
    },
    admin: (method, path, body) => there(run).admin(method, path, body),
    log: () => logged + (isRunning && run ? run.log() : ''),
    start: async (changes = {}) => {
      const started = await startGateway(dataDir, { ...env, ...changes })
      run = started
      isRunning = true
      isPaused = false
      void started.ended.then(() => {
        logged += started.log()
        if (run === started) isRunning = false
      })
    },
    kill: async (signal) => (run && isRunning ? await run.kill(signal) : 'not running'),
    pause: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
  }
}

const portOf = ({ url }: HomeNode) => Number(new URL(url).port)

function there<T>(value: T | null | undefined): T {
  if (value == null) throw new Error('not in this home, or not yet: use it inside a hook or a test')
  return value
}

function filesOf(dataDir = ''): string {
  const names = readdirSync(dataDir).filter((name) => name.startsWith('okoro.db'))
  return names.map((name) => readFileSync(`${dataDir}/${name}`, 'latin1')).join('')
}

async function rowsOf(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const tables = await client.query<{ name: string }>(
      `select quote_ident(tablename) as name from pg_tables where schemaname = 'public'`,
    )
    const rows: string[] = []
    for (const { name } of tables.rows) {
      const read = await client.query<{ row: string }>(`select t::text as row from ${name} t`)
      rows.push(...read.rows.map(({ row }) => row))
    }
    return rows.join('\n')
  } finally {
    await client.end()
  }
}

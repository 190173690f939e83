import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { cores, type LoopDelay, type Peer, sentBody, startPinned, stop } from './peer.ts'

export type OkoroPlace = {
  /** The launcher, `bin/okoro`, of this repo or of an installed package. */
  readonly bin: string
  readonly folder: string
  readonly upstreamPort: number
  /** Instead of the embedded database. */
  readonly databaseUrl?: string
}

export type Okoro = {
  readonly pid: number
  /** The whole path of a provider whose bodies pass unread. */
  readonly untouched: Peer
  /** The same with Withings' form composing and the peek into its envelope. */
  readonly composed: Peer
  close(): Promise<void>
}

const providersDir = fileURLToPath(new URL('../providers', import.meta.url))

/** The settings of the measured gateway: its own limits and its log are out of the way. */
export function settingsOf({ folder, upstreamPort, databaseUrl }: OkoroPlace): NodeJS.ProcessEnv {
  const upstream = `http://127.0.0.1:${upstreamPort}`
  return {
    ...{ OKORO_DATA_DIR: join(folder, 'data'), OKORO_NODE: 'bench', OKORO_LOG_LEVEL: 'info' },
    ...{ OKORO_PROVIDERS_DIR: providersDir, OKORO_PORT: '0', OKORO_ADMIN_PORT: '0' },
    OKORO_SANDBOX: `bench=${upstream},withings=${upstream}`,
    ...{ OKORO_AGENT_RATE: '100000', OKORO_AGENT_BURST: '100000', OKORO_AGENT_CONCURRENCY: '1000' },
    ...(databaseUrl !== undefined && { OKORO_DATABASE_URL: databaseUrl }),
  }
}

export const isServing = /"public_url":"http:\/\/127\.0\.0\.1:(\d+)"/

/** A real gateway with two connected accounts and one agent, ready to be called. */
export async function startOkoro(place: OkoroPlace): Promise<Okoro> {
  const { folder } = place
  await mkdir(folder, { recursive: true })
  const delayFile = join(folder, 'loop-delay.json')
  const env = {
    ...settingsOf(place),
    BENCH_LOOP_DELAY: delayFile,
    NODE_OPTIONS: `--import=${await writeProbe(folder)}`,
  }
  const command = [place.bin, 'serve']
  const { child, match } = await startPinned(cores.proxy, command, { ready: isServing, env })
  const port = Number(match[1])
  const pid = child.pid ?? 0
  const serviceToken = await prepare(port, join(folder, 'data/admin.sock'))
  const watch = () => watchLoop(pid, delayFile)
  const peer = (provider: string, call: { path: string; body: string; type: string }): Peer => ({
    ...{ name: '', pids: () => [pid], watch, close: async () => {} },
    request: async () => ({
      ...{ port, path: `/p/${provider}${call.path}`, body: call.body },
      headers: [
        ['content-type', call.type],
        ['authorization', `Bearer ${await exchange(port, serviceToken, provider)}`],
      ],
    }),
  })
  const suffix = place.databaseUrl === undefined ? '' : ', PostgreSQL'
  const form = `meastype=1&category=1&lastupdate=1700000000&note=${'x'.repeat(290)}`
  return {
    pid,
    untouched: {
      ...peer('bench', { path: '/items', body: sentBody, type: 'application/json' }),
      name: `okoro${suffix}`,
    },
    composed: {
      ...peer('withings', {
        ...{ path: '/measure', body: form, type: 'application/x-www-form-urlencoded' },
      }),
      name: `okoro, composing${suffix}`,
    },
    close: () => stop(child),
  }
}

/** As JavaScript: what a built gateway needs is not to grow by a loader of TypeScript. */
async function writeProbe(folder: string): Promise<string> {
  const source = await readFile(new URL('loop-delay.ts', import.meta.url), 'utf8')
  const probe = join(folder, 'loop-delay.mjs')
  await writeFile(probe, stripTypeScriptTypes(source))
  return probe
}

async function watchLoop(pid: number, file: string): Promise<() => Promise<LoopDelay>> {
  await rm(file, { force: true })
  process.kill(pid, 'SIGUSR2')
  return async () => {
    process.kill(pid, 'SIGUSR2')
    for (let left = 200; left > 0; left -= 1) {
      const text = await readFile(file, 'utf8').catch(() => null)
      if (text !== null) return JSON.parse(text) as LoopDelay
      await wait(20)
    }
    throw new Error('the gateway does not say how its event loop does')
  }
}

async function prepare(port: number, socketPath: string): Promise<string> {
  await untilReady(port)
  for (const provider of ['bench', 'withings']) {
    const secret = { client_id: 'bench', client_secret: 'bench-secret' }
    // The limit is kept as for everybody, and is never in the way.
    const limit = { requests: 1_000_000, seconds: 60 }
    await admin(socketPath, '/applications', { provider, ...secret, limit })
    const { link } = await admin(socketPath, '/connect-flows', { provider })
    await connect(port, provider, String(link))
  }
  const grants = ['bench', 'withings'].map((provider) => ({ provider, scope: 'read' }))
  const agent = await admin(socketPath, '/agents', { name: 'bench', grants })
  return String(agent.service_token)
}

export async function untilReady(port: number): Promise<void> {
  for (let left = 2_000; left > 0; left -= 1) {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => null)
    if (answer?.status === 200) return
    await wait(5)
  }
  throw new Error('the gateway does not become ready')
}

/** As a browser would, but for the consent page: the upstream hands out a token for any code. */
async function connect(port: number, provider: string, link: string): Promise<void> {
  const begun = await fetch(link, { redirect: 'manual' })
  const cookie = (begun.headers.get('set-cookie') ?? '').split(';')[0] ?? ''
  const state = new URL(begun.headers.get('location') ?? '').searchParams.get('state') ?? ''
  const query = new URLSearchParams({ code: 'bench', state })
  const callback = `http://127.0.0.1:${port}/connect/callback/${provider}?${query}`
  const done = await fetch(callback, { headers: { cookie } })
  if (done.status !== 200) throw new Error(`connecting ${provider}: ${await done.text()}`)
}

async function exchange(port: number, serviceToken: string, provider: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/t/tokens`, {
    method: 'POST',
    headers: { authorization: `Bearer ${serviceToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      provider,
      scope: 'read',
      intent: 'measure what a call costs',
      ttl: 900,
    }),
  })
  const { token } = (await response.json()) as { token?: string }
  if (token === undefined) throw new Error(`no operation token for ${provider}`)
  return token
}

type Body = Readonly<Record<string, unknown>>

function admin(socketPath: string, path: string, body: object): Promise<Body> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(
      {
        ...{ socketPath, method: 'POST', path: `/api/v1${path}` },
        headers: { host: 'localhost', 'content-type': 'application/json' },
      },
      async (response) => {
        const text = Buffer.concat(await response.toArray()).toString()
        if ((response.statusCode ?? 500) < 300) resolve(JSON.parse(text))
        else reject(new Error(`${path}: ${response.statusCode} ${text}`))
      },
    )
    sent.once('error', reject)
    sent.end(JSON.stringify(body))
  })
}

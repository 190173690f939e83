import { existsSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Sandbox, startWithings } from '@okoro/sandbox'
import { type Config, listenUrl } from '../config.ts'
import { connectAsPerson } from './demo/browser.ts'
import { instructions, startedAs } from './demo/instructions.ts'
import { type DemoState, readDemoState, writeDemoState } from './demo/state.ts'
import type { Agent, Application, Connection, Flow, NewAgent } from './gateway/admin-api.ts'
import {
  type AdminClient,
  adminOf,
  isGatewayRunning,
  itemsOf,
  quieter,
} from './gateway/admin-client.ts'
import type { AddCommand } from './session.ts'
import { type Session, stopped } from './session.ts'
import { Failure } from './terminal/failure.ts'

/** Where the sandbox listens unless that is taken at the first start. */
const usualSandboxPort = 8422
const provider = 'withings'
const clientId = 'okoro-demo'

export const addDemo: AddCommand = (command, session) => {
  command
    .addHelpText(
      'after',
      `
Starts a stand-in for Withings with two years of made-up data, a gateway in front of it, connects
an account and creates an agent that may read it; then prints what to paste. It keeps its data in
a folder of its own (okoro-demo beside the usual one, or --data-dir / OKORO_DATA_DIR) and reads no
okoro.yaml: real data is never touched. A second start goes on with the same account and agent.

Examples:
  $ okoro demo
  $ okoro demo --port 9000 --admin-port 9001`,
    )
    .action(async () => {
      const config = demoConfig(session)
      const before = readDemoState(config.dataDir)
      await checkFolder(config, before)
      mkdirSync(config.dataDir, { recursive: true, mode: 0o700 })
      const sandbox = await startSandbox(config.dataDir, before ?? {})
      try {
        await runDemo(session, config, sandbox)
      } finally {
        await sandbox.close()
      }
    })
}

/** Flags and environment count, but nothing that would lead to data of the real gateway. */
function demoConfig(session: Session): Config {
  const { config, sources } = session.settings({ withoutFile: true })
  const isOwnFolder = sources.dataDir === 'default'
  const dataDir = isOwnFolder ? join(dirname(config.dataDir), 'okoro-demo') : config.dataDir
  const publicUrl =
    sources.publicUrl === 'default' ? listenUrl(config.host, config.port) : config.publicUrl
  if (config.databaseUrl !== null) {
    session.output.note('The demo keeps a database of its own: OKORO_DATABASE_URL is left alone.')
  }
  return { ...config, dataDir, publicUrl, databaseUrl: null, masterKey: null }
}

async function checkFolder(config: Config, state: DemoState | null): Promise<void> {
  const { dataDir } = config
  if (state === null && existsSync(join(dataDir, 'okoro.db'))) {
    const message = `${dataDir} holds data that is not a demo's: give the demo another --data-dir.`
    throw new Failure('usage', message)
  }
  if (await isGatewayRunning(config)) {
    throw new Failure('failed', `A demo is running on ${dataDir} already: use that one, or end it.`)
  }
}

async function startSandbox(dataDir: string, state: DemoState): Promise<Sandbox> {
  const folder = { dataDir: join(dataDir, 'sandbox'), seed: 'okoro-demo', controlPort: null }
  // Whoever pastes a line twice within 10 seconds would take the provider's 601 for a fault of ours.
  const limits = { duplicateGuard: false }
  const start = (port: number) => startWithings({ ...folder, limits, port })
  const known = state.sandbox_port
  const sandbox = await start(known ?? usualSandboxPort).catch((error: Error) => {
    if (known === undefined) return start(0)
    const message = `${error.message}. The demo's account is bound to that port: end what uses it, or delete ${dataDir} to begin anew.`
    throw new Failure('failed', message, { cause: error })
  })
  writeDemoState(dataDir, { ...state, sandbox_port: Number(new URL(sandbox.url).port) })
  return sandbox
}

async function runDemo(session: Session, config: Config, sandbox: Sandbox): Promise<void> {
  const { output, env, stop } = session
  const { dataDir } = config
  const sandboxes = new Map([[provider, sandbox.url]])
  const app = await session.openApp({
    ...config,
    logLevel: quieter(config.logLevel),
    sandbox: sandboxes,
  })
  try {
    const { publicUrl, adminUrl } = await app.serve()
    const admin = adminOf(app)
    await prepareAccount(admin, { dataDir, sandbox, publicUrl })
    const serviceToken = await prepareAgent(admin, dataDir)
    const ready = { publicUrl, serviceToken, dataDir, sandboxUrl: sandbox.url }
    if (output.isJson) {
      output.json({
        ...{ url: publicUrl, service_token: serviceToken, admin_url: adminUrl },
        ...{ data_dir: dataDir, sandbox_url: sandbox.url },
      })
    } else {
      output.text(instructions({ ...ready, okoro: startedAs(env) }))
    }
    await stopped(stop)
  } finally {
    await app.close()
  }
}

type Preparing = {
  readonly dataDir: string
  readonly sandbox: Sandbox
  readonly publicUrl: string
}

/** Connects the made-up account through the real code flow, unless it is connected. */
async function prepareAccount(admin: AdminClient, preparing: Preparing): Promise<void> {
  const all = await Array.fromAsync(itemsOf<Connection>(admin, `/connections?provider=${provider}`))
  if (all.some(({ status }) => status === 'connected')) return
  await prepareApplication(admin, preparing)
  const flow = await admin.call<Flow>('POST', '/connect-flows', { provider })
  await connectAsPerson(flow.link)
}

async function prepareApplication(admin: AdminClient, preparing: Preparing): Promise<void> {
  const { dataDir, sandbox, publicUrl } = preparing
  const path = `/applications?provider=${provider}`
  const [known] = await Array.fromAsync(itemsOf<Application>(admin, path))
  const state = readDemoState(dataDir) ?? {}
  const clientSecret = state.client_secret ?? crypto.randomUUID()
  writeDemoState(dataDir, { ...state, client_secret: clientSecret })
  const redirectUri = known?.redirect_uri ?? `${publicUrl}/connect/callback/${provider}`
  sandbox.registerApplication({ clientId, clientSecret, redirectUris: [redirectUri] })
  if (known) return
  await admin.call('POST', '/applications', {
    ...{ provider, client_id: clientId, client_secret: clientSecret, redirect_uri: redirectUri },
  })
}

/** The demo agent's service token: the one of last time, or a new one. */
async function prepareAgent(admin: AdminClient, dataDir: string): Promise<string> {
  const state = readDemoState(dataDir) ?? {}
  const agents = await Array.fromAsync(itemsOf<Agent>(admin, '/agents'))
  const known = agents.find(({ name, status }) => name === state.agent && status === 'active')
  if (known && state.service_token) return state.service_token
  const isTaken = agents.some(({ name }) => name === 'demo')
  const agent = await admin.call<NewAgent>('POST', '/agents', {
    name: isTaken ? `demo-${agents.length + 1}` : 'demo',
    grants: [{ provider, scope: 'read' }],
  })
  writeDemoState(dataDir, { ...state, agent: agent.name, service_token: agent.service_token })
  return agent.service_token
}

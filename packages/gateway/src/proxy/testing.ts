import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import type { Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Sandbox, startWithings, unlimited } from '@okoro/sandbox'
import { createCoalescer } from '../audit/coalesce.ts'
import { loadCatalog } from '../catalog/load.ts'
import { addApplication, type LimitChoice } from '../connections/applications.ts'
import { beginFlow, openLink } from '../connections/connect.ts'
import { createCredentials } from '../connections/credentials.ts'
import { createEgress } from '../connections/egress.ts'
import { finish } from '../connections/finish.ts'
import { isRefusal } from '../errors.ts'
import { createApplicationLimits } from '../limits/application-limits.ts'
import { closeServer, createDoor, listenOn } from '../listen.ts'
import { Secret } from '../secret.ts'
import { openStore } from '../store/open.ts'
import type { Store } from '../store/store.ts'
import { issue } from '../tokens/issue.ts'
import { createVerifier } from '../tokens/operation-token.ts'
import { openSigningKeys } from '../tokens/signing-keys.ts'
import { addAgent, addGrant } from '../tokens/testing.ts'
import { findRootKey, openVault } from '../vault/keys.ts'
import type { Grant, Scope } from '../words.ts'
import { createAdmission } from './admit.ts'
import { createCallsUnderWay } from './calls-under-way.ts'
import { createUpstream } from './forward.ts'
import { serveCall } from './proxy.ts'

/**
 * For tests: the proxy door over everything real, in one process: a SQLite store, a vault, and a
 * Withings sandbox that was connected through its own pages.
 */
export type House = Awaited<ReturnType<typeof openHouse>>

const publicUrl = 'http://gateway.test'
const providers = fileURLToPath(new URL('../../../../providers', import.meta.url))

const noLimits = { perSecond: 1_000, burst: 1_000, concurrent: 200 }

/** A second provider, which grants a token for any code; its folder and where it listens. */
export type Also = { readonly name: string; readonly folder: string; readonly origin: string }

/** Its application has no limit, unless that is what a test is about. */
export async function openHouse(
  limits = noLimits,
  also: Also | null = null,
  limit: LimitChoice = 'none',
) {
  const folder = mkdtempSync(join(tmpdir(), 'okoro-house-'))
  const sandbox = await startWithings({ limits: unlimited })
  const clock = Date.now
  const store = await openStore(
    { kind: 'sqlite', path: join(folder, 'okoro.db') },
    { node: 'node-1', gatewayVersion: '0.0.0-test', clock, random: randomBytes },
  )
  const rootKey = await findRootKey(
    { kind: 'file', dataDir: folder },
    { store, random: randomBytes },
  )
  const vault = await openVault({ store, rootKey, clock, random: randomBytes })
  const keys = await openSigningKeys({ store, vault, clock })
  const sandboxes = new Map([['withings', sandbox.url]])
  if (also) sandboxes.set(also.name, also.origin)
  const catalog = await loadCatalog([providers, ...(also ? [also.folder] : [])], sandboxes)
  const egress = createEgress({ sandboxOrigins: new Set(sandboxes.values()) })
  const { fetch: reach } = egress
  const context = { store, vault, catalog, publicUrl, clock, random: randomBytes, fetch: reach }
  const connectionId = await connect(context, { sandbox, limit })
  const alsoId = also && (await connectAlso(context, also.name))
  await addAgent(store, 'agt_1')
  const verifier = createVerifier({ store, keys, publicUrl, clock })
  const underWay = createCallsUnderWay()
  const coalescer = createCoalescer({ store, clock })
  const upstream = createUpstream({ connectMs: 1_000, connections: 64 })
  const malfunctions: unknown[] = []
  const parts = {
    ...{ store, verifier, catalog, upstream, underWay, publicUrl, clock, coalescer },
    credentials: createCredentials(context),
    limits: createApplicationLimits({ store, random: randomBytes }),
    admit: createAdmission(limits, clock),
    onMalfunction: (error: unknown) => void malfunctions.push(error),
  }
  let calls = 0
  const door: Server = createDoor({
    publicUrl: () => publicUrl,
    nextRequestId: () => {
      calls += 1
      return `req_${calls}`
    },
    serve: (request, response, requestId) =>
      void serveCall(parts, { request, response, requestId }),
  })
  const port = await listenOn(door, { host: '127.0.0.1', port: 0, setting: 'OKORO_PORT' })
  const grant = (given: Partial<Grant> & { id: string }) =>
    addGrant(store, { connectionId, ...given })
  const token = async (
    scope: Scope = 'read',
    actions: readonly string[] | null = null,
    provider = 'withings',
  ) => {
    const issued = await issue(
      { store, keys, catalog, publicUrl, clock, random: randomBytes },
      {
        caller: {
          agentId: 'agt_1',
          serviceTokenId: 'stk_agt_1',
          agentName: 'a',
          expiresAt: null,
        } as never,
        asked: {
          ...{ provider, scope, intent: 'prove the straight path', ttl: 300 },
          ...(actions && { actions }),
        } as never,
        ...{ policyEpoch: store.policyEpoch(), requestId: 'req_issue' },
      },
    )
    if (issued === 'stale' || isRefusal(issued)) throw new Error(JSON.stringify(issued))
    return issued.token
  }
  const control = async (method: string, path: string, body?: object) => {
    const answer = await fetch(`${sandbox.controlUrl}${path}`, {
      method,
      ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    })
    return (await answer.json().catch(() => null)) as never
  }
  return {
    ...{
      store,
      verifier,
      underWay,
      connectionId,
      alsoId,
      port,
      malfunctions,
      grant,
      token,
      control,
    },
    ...{ url: `http://127.0.0.1:${port}/p/withings`, sandbox },
    received: async () =>
      ((await control('GET', '/received')) as { requests: readonly Received[] }).requests,
    records: () => recordsOf(store),
    close: async () => {
      await closeServer(door, 0)
      await Promise.all([upstream.close(), egress.close(), sandbox.close()])
      await coalescer.close()
      await store.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export type Received = {
  readonly method: string
  readonly target: string
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string
}

async function recordsOf(store: Store): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const rows = await store.db.selectFrom('record').select('body').orderBy('n').execute()
  return rows.map(({ body }) => JSON.parse(body))
}

/** Connects the sandbox's demo person through link, consent page and callback. */
async function connect(
  context: Parameters<typeof beginFlow>[0],
  { sandbox, limit }: { readonly sandbox: Sandbox; readonly limit: LimitChoice },
): Promise<string> {
  const [clientId, clientSecret] = ['client-1', 'secret-of-client-1']
  const redirectUri = `${publicUrl}/connect/callback/withings`
  sandbox.registerApplication({ clientId, clientSecret, redirectUris: [redirectUri] })
  await addApplication(context, {
    provider: 'withings',
    clientId,
    ...{ secret: new Secret(clientSecret), limit },
  })
  const flow = await beginFlow(context, { provider: 'withings' })
  if (isRefusal(flow)) throw new Error(flow.message)
  const opened = await openLink(context, flow.link.slice(flow.link.lastIndexOf('/') + 1))
  if (!('redirectTo' in opened)) throw new Error(JSON.stringify(opened))
  const page = await (await fetch(opened.redirectTo)).text()
  const request = /name="request" value="([0-9a-f]+)"/.exec(page)?.[1] ?? ''
  const scopes = ['user.info', 'user.metrics', 'user.activity', 'user.sleepevents']
  const form = new URLSearchParams([
    ['request', request],
    ['decision', 'allow'],
    ...scopes.map((scope): [string, string] => ['scope', scope]),
  ])
  const consent = await fetch(`${sandbox.url}/oauth2_user/authorize2`, {
    ...{ method: 'POST', body: form, redirect: 'manual' as const },
  })
  const back = new URL(consent.headers.get('location') ?? '')
  const finished = await finish(context, {
    ...{ provider: 'withings', parameters: back.searchParams },
    cookie: (name) => (name === opened.cookie.name ? opened.cookie.value : undefined),
  })
  if (!('connection' in finished)) throw new Error(JSON.stringify(finished))
  return finished.connection.id
}

async function connectAlso(
  context: Parameters<typeof beginFlow>[0],
  provider: string,
): Promise<string> {
  await addApplication(context, { provider, clientId: 'client-2', secret: new Secret('secret-2') })
  const flow = await beginFlow(context, { provider })
  if (isRefusal(flow)) throw new Error(flow.message)
  const opened = await openLink(context, flow.link.slice(flow.link.lastIndexOf('/') + 1))
  if (!('redirectTo' in opened)) throw new Error(JSON.stringify(opened))
  const state = new URL(opened.redirectTo).searchParams.get('state') ?? ''
  const finished = await finish(context, {
    ...{ provider, parameters: new URLSearchParams({ code: 'any', state }) },
    cookie: (name) => (name === opened.cookie.name ? opened.cookie.value : undefined),
  })
  if (!('connection' in finished)) throw new Error(JSON.stringify(finished))
  return finished.connection.id
}

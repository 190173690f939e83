import type { IncomingMessage, ServerResponse } from 'node:http'
import { getRequestListener, type HttpBindings } from '@hono/node-server'
import { Hono } from 'hono'
import { adminRoutes } from './admin/routes.ts'
import { type Coalescer, createCoalescer } from './audit/coalesce.ts'
import { createSequencer } from './audit/sequencer.ts'
import type { Catalog } from './catalog/load.ts'
import type { Config } from './config.ts'
import type { ConnectionsContext } from './connections/context.ts'
import { createCredentials } from './connections/credentials.ts'
import type { Egress } from './connections/egress.ts'
import { errors, Malfunction, problem, refusalOf, refuse } from './errors.ts'
import { connectRoutes } from './hub/connect.ts'
import { createApplicationLimits } from './limits/application-limits.ts'
import { createAdmission } from './proxy/admit.ts'
import { createCallsUnderWay } from './proxy/calls-under-way.ts'
import { createUpstream } from './proxy/forward.ts'
import { type ProxyParts, serveCall } from './proxy/proxy.ts'
import type { Store } from './store/store.ts'
import { exchangeRoutes } from './tokens/exchange.ts'
import { createExpiredTokenSweep } from './tokens/expired-tokens.ts'
import { createLeaseSweep } from './tokens/leased-agents.ts'
import { createVerifier } from './tokens/operation-token.ts'
import type { SigningKeys } from './tokens/signing-keys.ts'
import type { Vault } from './vault/keys.ts'
import type { Clock, Random } from './words.ts'

/** What a log must be able to do; pino's loggers can. */
export type Log = {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** What is open before it is known under which URL the gateway is reached. */
export type Foundation = {
  readonly config: Config
  readonly store: Store
  readonly vault: Vault
  readonly signingKeys: SigningKeys
  readonly catalog: Catalog
  readonly egress: Egress
  readonly sandboxCa: string | null
  readonly clock: Clock
  readonly random: Random
  readonly gatewayVersion: string
  readonly log: Log
}

export type Rooms = {
  /** The public listener. Never throws. */
  public(request: IncomingMessage, response: ServerResponse, requestId: string): void
  /** `/api/v1`, for callers whom the unix socket or the process itself vouches for. */
  readonly admin: ReturnType<typeof adminRoutes>
  /** Resolves when the calls under way have their outcome; nobody must listen any more. */
  close(): Promise<void>
}

/** Sockets to one provider origin. Further calls wait for one of them. */
const upstreamConnections = 256
/** Milliseconds between two looks for revoked calls, lapsed leases and unsequenced records. */
const tickMs = 500
/** Milliseconds without a look at the policy after which open answers are cut: P8 says five seconds. */
const blindMs = 4_000

export const newRequestId = (random: Random): string =>
  `req_${Buffer.from(random(12)).toString('hex')}`

/** Puts every room together under `publicUrl`. Nothing else in the gateway wires anything. */
export function openRooms(foundation: Foundation, publicUrl: string): Rooms {
  const { config, store, vault, signingKeys, catalog, egress, clock, random, log } = foundation
  const context: ConnectionsContext = {
    ...{ store, vault, catalog, publicUrl, clock, random, fetch: egress.fetch },
  }
  const verifier = createVerifier({ store, keys: signingKeys, publicUrl, clock })
  const coalescer = createCoalescer({ store, clock })
  const underWay = createCallsUnderWay()
  const upstream = createUpstream({
    ...{ connectMs: config.connectTimeoutSeconds * 1000, connections: upstreamConnections },
    ...(foundation.sandboxCa !== null && {
      ownCa: { origins: new Set(config.sandbox?.values()), pem: foundation.sandboxCa },
    }),
  })
  const onMalfunction = (error: unknown, requestId: string) => logFault(log, error, requestId)
  const credentials = createCredentials(context)
  const limits = createApplicationLimits({ store, random })
  const { agentRate: perSecond, agentBurst: burst, agentConcurrency: concurrent } = config
  const proxy: ProxyParts = {
    ...{ store, verifier, catalog, upstream, coalescer, underWay, publicUrl, clock, onMalfunction },
    ...{ credentials, limits },
    admit: createAdmission({ perSecond, burst, concurrent }, clock),
  }
  const pages = createPages(foundation, { context, verifier, coalescer, publicUrl })
  const admin = adminRoutes({
    ...{ ...context, vault, credentials, signingKeys, onFault: onMalfunction },
    gatewayVersion: foundation.gatewayVersion,
  })
  const sequencer = createSequencer({
    store,
    onDeadBoot: ({ node, boot }, crashed) =>
      log.warn({ node, boot, crashed }, 'calls of a run that died were closed as crashed'),
  })
  const leases = createLeaseSweep({ store, clock })
  const expired = createExpiredTokenSweep({ store, clock })
  let policySeenAt = performance.now()
  const cutting = startTick(async () => {
    const policyEpoch = await store.readPolicyEpoch()
    policySeenAt = performance.now()
    await underWay.cutRevoked(verifier, { nowMs: clock(), policyEpoch })
  })
  const ticks = [
    cutting,
    startTick(async () => {
      await limits.settle()
      await leases.sweep()
      await expired.sweep()
    }),
    startTick(async () => {
      if (performance.now() - policySeenAt > blindMs) underWay.cutAnswers()
    }),
    startTick(sequencer.tick),
    startTick(store.probe),
  ]
  const calls = new Set<Promise<void>>()
  return {
    public: (request, response, requestId) => {
      if (request.url?.startsWith('/p/')) {
        const call = serveCall(proxy, { request, response, requestId })
        calls.add(call)
        void call.finally(() => calls.delete(call))
      } else {
        void pages(request, response, requestId)
      }
    },
    admin,
    close: async () => {
      await Promise.all(ticks.map((tick) => tick.stop()))
      await Promise.all(calls)
      await sequencer.close().catch(() => {})
      await credentials.settle()
      await coalescer.close().catch((error) => onMalfunction(error, 'close'))
      await upstream.close()
    },
  }
}

type PageParts = {
  readonly context: ConnectionsContext
  readonly verifier: ReturnType<typeof createVerifier>
  readonly coalescer: Coalescer
  readonly publicUrl: string
}

type Env = { Bindings: HttpBindings; Variables: { requestId: string } }

/** Everything public that is no call: the exchange, the connect pages, health. */
function createPages(foundation: Foundation, parts: PageParts) {
  const { store, signingKeys, catalog, clock, random, log } = foundation
  const { context, verifier, coalescer, publicUrl } = parts
  const answer = (code: Parameters<typeof refuse>[0], message: string, requestId: string) => {
    const { status, headers, body } = problem(refuse(code, message), { publicUrl, requestId })
    return new Response(body, { status, headers })
  }
  const app = new Hono<Env>()
  app.use(async (c, next) => {
    c.set('requestId', String(c.env.outgoing.getHeader(requestIdHeader)))
    await next()
  })
  app.route(
    '/',
    exchangeRoutes({
      ...{ store, keys: signingKeys, catalog, publicUrl, clock, random, verifier, coalescer, log },
    }),
  )
  app.route(
    '/',
    connectRoutes(context, (error) => logFault(log, error, 'connect')),
  )
  app.get('/healthz', (c) => c.json({ status: 'ok' }))
  app.get('/readyz', async (c) => {
    await store.db.selectFrom('policy').select('epoch').execute()
    if (!store.isWritable()) throw new Malfunction('audit_unavailable', unwritable)
    return c.json({ status: 'ready' })
  })
  app.notFound((c) => answer('not_found', 'There is nothing at this path.', c.get('requestId')))
  app.onError((error, c) => {
    const requestId = c.get('requestId')
    logFault(log, error, requestId)
    const { status, headers, body } = problem(refusalOf(error), { publicUrl, requestId })
    return new Response(body, { status, headers })
  })
  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false })
  return async (request: IncomingMessage, response: ServerResponse, requestId: string) => {
    response.setHeader(requestIdHeader, requestId)
    await listener(request, response)
  }
}

const unwritable = 'The audit log cannot be written just now: calls and changes are refused.'

const requestIdHeader = 'okoro-request-id'

/** Runs `work` again and again, one at a time; what fails is tried again at the next tick. */
function startTick(work: () => Promise<void>) {
  let running: Promise<void> = Promise.resolve()
  let isIdle = true
  const timer = setInterval(() => {
    if (!isIdle) return
    isIdle = false
    running = work()
      .catch(() => {})
      .finally(() => {
        isIdle = true
      })
  }, tickMs)
  timer.unref()
  return {
    stop: async () => {
      clearInterval(timer)
      await running
    },
  }
}

/** Rich inside, quiet outside: the request id in the answer finds this line. */
function logFault(log: Log, error: unknown, requestId: string): void {
  const isPassing = error instanceof Malfunction && errors[error.code].status === 503
  const fields = { request_id: requestId, err: error }
  if (isPassing) log.warn(fields, 'a request was refused')
  else log.error(fields, 'a request failed')
}

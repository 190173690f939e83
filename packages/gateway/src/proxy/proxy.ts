import { hash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  type Appended,
  append,
  appendDenial,
  appendOutcome,
  type CallFacts,
  denialFields,
} from '../audit/append.ts'
import type { Coalescer } from '../audit/coalesce.ts'
import type { Catalog } from '../catalog/load.ts'
import type { Provider } from '../catalog/provider.ts'
import type { Credentials, Taken } from '../connections/credentials.ts'
import { errors, isRefusal, problem, type Refusal, refusalOf, refuse } from '../errors.ts'
import { inject } from '../inject/inject.ts'
import type { ApplicationLimits, Through, Unit } from '../limits/application-limits.ts'
import { type Denial, decide, isDenied } from '../policy/decide.ts'
import type { Store } from '../store/store.ts'
import type { ConnectionView, TokenRefusal, Verified, Verifier } from '../tokens/operation-token.ts'
import type { AllowedRequest, Clock, ComposedRequest, Operation, Transport } from '../words.ts'
import type { Admitted } from './admit.ts'
import { BodyStream } from './body-stream.ts'
import type { CallsUnderWay } from './calls-under-way.ts'
import { type AgentBody, compose } from './compose.ts'
import { type Failure, isFailure, type Upstream } from './forward.ts'
import { Hangup } from './hangup.ts'
import { methodOverride, responseHeaders, valuesOf } from './headers.ts'
import { heed, saysTooMany } from './heed.ts'
import type { Place } from './links.ts'
import { hasBody, isLong, readBody, refuseLength } from './read-body.ts'
import { type Peeked, peek, reply } from './reply.ts'
import { resolveTarget } from './target.ts'

export type ProxyParts = {
  readonly store: Store
  readonly verifier: Verifier
  readonly catalog: Catalog
  readonly credentials: Credentials
  readonly limits: ApplicationLimits
  readonly upstream: Upstream
  readonly admit: (agentId: string) => Admitted | Refusal
  /** Records a flood of the same refusal as one record with a count. */
  readonly coalescer: Pick<Coalescer, 'record'>
  readonly underWay: CallsUnderWay
  readonly publicUrl: string
  readonly clock: Clock
  /** Is told what a refusal hides: the thrown error of a malfunction. */
  readonly onMalfunction: (error: unknown, requestId: string) => void
}

/** One call on its way through the house. */
type Call = {
  readonly parts: ProxyParts
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly requestId: string
  readonly provider: Provider
  readonly url: string
  readonly token: string
  readonly startedMs: number
  readonly hangup: Hangup
  /** Set when the body is not held but passed on as it comes. */
  stream: BodyStream | null
  /** Set when the call is ended because its permission has gone. */
  isCut: boolean
}

/**
 * Serves one call of `/p/<provider>/<path>`; never throws. `request` has passed `checkFraming`.
 * The answer is the provider's own, or a problem from the table of errors.
 */
export async function serveCall(
  parts: ProxyParts,
  incoming: {
    readonly request: IncomingMessage
    readonly response: ServerResponse
    readonly requestId: string
  },
): Promise<void> {
  const { response, requestId } = incoming
  response.setHeader('okoro-request-id', requestId)
  try {
    const call = begin(parts, incoming)
    const refusal = isRefusal(call) ? call : await walk(call)
    if (refusal) answerRefusal(parts, incoming, refusal)
  } catch (error) {
    parts.onMalfunction(error, requestId)
    answerRefusal(parts, incoming, refusalOf(error))
  }
}

/** The straight path. Each line feeds the next; a refusal ends it. */
async function walk(call: Call): Promise<Refusal | null> {
  const { parts, provider } = call
  const verified = await parts.verifier.verify(call.token, provider.name)
  if (isRefusal(verified)) return await refuseToken(call, verified)
  const admitted = parts.admit(verified.operation.agentId)
  if (isRefusal(admitted)) return await refuseFlood(call, verified, admitted)
  const end = parts.underWay.begin({
    ...{ token: call.token, provider: provider.name, cut: () => cut(call) },
    expiresAt: verified.operation.expiresAt,
    isAnswering: () => call.response.headersSent,
  })
  try {
    const target = resolveTarget({ method: call.request.method ?? '', url: call.url }, provider)
    if (isRefusal(target)) return await deny(call, verified, { refusal: target })
    const body = await bodyOf(call)
    if (isRefusal(body)) return await deny(call, verified, { refusal: body })
    const { rawHeaders } = call.request
    const composed = compose(target, { rawHeaders, body, nowMs: parts.clock() }, provider)
    if (isRefusal(composed)) return await deny(call, verified, { refusal: composed })
    return await attempt(call, verified, composed)
  } finally {
    end()
    admitted.release()
  }
}

function cut(call: Call): void {
  call.isCut = true
  call.hangup.happen()
  call.response.destroy()
}

function begin(
  parts: ProxyParts,
  { request, response, requestId }: Pick<Call, 'request' | 'response' | 'requestId'>,
): Call | Refusal {
  const split = /^\/p\/([^/?]+)(.*)$/s.exec(request.url ?? '')
  const provider = parts.catalog.providers.get(split?.[1] ?? '')
  if (!provider) {
    const known = [...parts.catalog.providers.keys()].join(', ')
    return refuse('unknown_provider', `There is no such provider here. There are: ${known}.`)
  }
  const credentials = valuesOf(request.rawHeaders, 'authorization')
  if (credentials.length > 1) {
    return refuse('invalid_token', 'Send exactly one Authorization header.')
  }
  const bearer = /^bearer +([\w.~+/=-]+) *$/i.exec(credentials[0] ?? '')
  if (!bearer?.[1]) {
    return refuse(
      'invalid_token',
      'Send an operation token as Authorization: Bearer …; POST /t/tokens exchanges your service token for one.',
    )
  }
  const hangup = new Hangup()
  response.once('close', () => response.writableFinished || hangup.happen())
  const url = split?.[2] ?? ''
  const startedMs = performance.now()
  return {
    parts,
    request,
    response,
    requestId,
    provider,
    url,
    token: bearer[1],
    startedMs,
    hangup,
    stream: null,
    isCut: false,
  }
}

/** Held whole where it is judged or short; else nothing of it is read before it is sent on. */
async function bodyOf(call: Call): Promise<AgentBody | 'streamed' | null | Refusal> {
  const { request, response, provider } = call
  const override = methodOverride(request.rawHeaders)
  if (override) return override
  if (!hasBody(request)) return null
  const types = valuesOf(request.rawHeaders, 'content-type')
  if (types.length > 1) return refuse('bad_body', 'There is more than one Content-Type.')
  const { maxBodyBytes: maxBytes, idleSeconds } = provider.limits
  const limits = { maxBytes, idleMs: idleSeconds * 1000 }
  if (provider.encoding === 'none' && isLong(request)) {
    const refusal = refuseLength(request, maxBytes)
    if (refusal) return refusal
    call.stream = new BodyStream(request, response, limits)
    return 'streamed'
  }
  const bytes = await readBody(request, response, limits)
  return isRefusal(bytes) ? bytes : { contentType: types[0] ?? null, bytes }
}

/** Sends at most twice: again only after the provider called the credential expired. */
async function attempt(
  call: Call,
  first: Verified,
  composed: ComposedRequest,
): Promise<Refusal | null> {
  const { parts, provider } = call
  let expiredVersion: number | null = null
  for (let attemptNo = 1; ; attemptNo += 1) {
    const appended = await appendAttempt(call, { verified: first, composed, attemptNo })
    if (isRefusal(appended)) return appended
    const { connectionId } = appended.verified.operation
    const taken: Taken | Refusal = await (expiredVersion === null
      ? parts.credentials.take(connectionId)
      : parts.credentials.renew(connectionId, expiredVersion))
    if (isRefusal(taken)) {
      const unsent = { ...appended, bytesIn: 0 }
      await close(call, unsent, { status: null, providerStatus: null, error: taken.code })
      return taken
    }
    const peeked = await send(call, appended, taken.credential)
    if (isRefusal(peeked)) return peeked
    const isExpired = saysExpired(provider, peeked)
    const isRenewable = isExpired && taken.isRenewable
    if (isExpired && !isRenewable) parts.credentials.doubt(connectionId, taken.version)
    if (isRenewable && call.stream) await renewForNext(call, connectionId, taken.version)
    if (!isRenewable || call.stream || attemptNo > 1) {
      const wait = saysTooMany(provider, peeked, parts.clock)
      if (wait) await heed(wait, { ...call, through: throughOf(call, appended.verified), peeked })
      return await giveBack(call, appended, peeked)
    }
    const { status } = peeked.answer
    peeked.answer.abort()
    await close(call, appended, { status, providerStatus: peeked.envelope?.value ?? null })
    expiredVersion = taken.version
  }
}

/**
 * A streamed body is gone and can't be sent again: the agent gets the provider's own answer, and
 * its next call a new credential. What fails here is on record, and fails again in front of that.
 */
const renewForNext = async ({ parts }: Call, connectionId: string, version: number) => {
  await parts.credentials.renew(connectionId, version).catch(() => {})
}

type Attempt = Appended & {
  readonly verified: Verified
  readonly bytesIn: number
  /** Of the application's limit: every send takes one. */
  readonly unit: Unit
}

/**
 * A revocation between judging and writing means judging again, against what is true now. The unit
 * stays the call's own meanwhile; when the call is then denied it goes back by itself.
 */
async function appendAttempt(
  call: Call,
  {
    verified,
    composed,
    attemptNo,
  }: { verified: Verified; composed: ComposedRequest; attemptNo: number },
): Promise<Attempt | Refusal> {
  const { parts, provider } = call
  let current = verified
  let unit: Unit | null = null
  for (let tries = 0; tries < maxTries; tries += 1) {
    const decided: AllowedRequest | Denial = decide(composed, { ...current, provider })
    if (isDenied(decided)) {
      return await deny(call, current, { ...decided, composed, attemptNo })
    }
    if (unit === null) {
      const taken = takeUnit(call, current)
      const given: Unit | Refusal = taken instanceof Promise ? await taken : taken
      if (isRefusal(given)) return await refuseFlood(call, current, given, { composed, attemptNo })
      unit = given
    }
    const facts = factsOf(call, current, { composed, attemptNo })
    const appended = await append(parts.store, decided, {
      facts,
      policyEpoch: current.policyEpoch,
    })
    if (appended !== 'stale') {
      return { ...appended, verified: current, bytesIn: heldBytesOf(composed)?.length ?? 0, unit }
    }
    const again = await parts.verifier.verify(call.token, provider.name)
    if (isRefusal(again)) return await deny(call, current, { refusal: again, composed, attemptNo })
    current = again
  }
  const refusal = refuse('overloaded', 'The policy is changing too fast to judge this call.', {}, 1)
  return await deny(call, current, { refusal, composed, attemptNo })
}

/** Policy changes that one call lives through before it gives up. */
const maxTries = 8

const throughOf = ({ provider }: Call, { connection }: Verified): Through => ({
  connection,
  provider,
})

const takeUnit = (call: Call, verified: Verified) =>
  call.parts.limits.take(throughOf(call, verified), verified.operation.agentId)

/** A unit that waited too long, for a credential above all, has gone back: take another. */
async function spendAnother(call: Call, { verified }: Attempt): Promise<Refusal | null> {
  for (;;) {
    const taken = await takeUnit(call, verified)
    if (isRefusal(taken)) return taken
    if (call.parts.limits.spend(taken)) return null
  }
}

async function send(
  call: Call,
  appended: Attempt,
  credential: Parameters<typeof inject>[1],
): Promise<Peeked | Refusal> {
  const { parts, provider, hangup, stream } = call
  const { firstByteSeconds, idleSeconds } = provider.limits
  try {
    const authorized = inject(appended.audited, credential, provider)
    const limited = parts.limits.spend(appended.unit) ? null : await spendAnother(call, appended)
    if (limited) {
      const unsent = { ...appended, bytesIn: 0 }
      await close(call, unsent, { status: null, providerStatus: null, error: limited.code })
      return limited
    }
    const terms = { firstByteMs: firstByteSeconds * 1000, idleMs: idleSeconds * 1000 }
    const answer = await parts.upstream.forward(authorized, { ...terms, hangup, stream })
    if (!isFailure(answer)) return await peek(answer, provider.envelope, provider.limits)
    const refusal = stream?.refusal ?? refuseFailure(provider, answer)
    const error = brokenBecause(call, refusal.code)
    const sent = answer.mayHaveArrived ? appended : { ...appended, bytesIn: 0 }
    await close(call, sent, { status: null, providerStatus: null, error })
    return refusal
  } catch (error) {
    await close(call, appended, { status: null, providerStatus: null, error: 'internal_error' })
    throw error
  }
}

function refuseFailure(provider: Provider, { error, mayHaveArrived }: Failure): Refusal {
  const said = {
    upstream_unreachable: 'could not be reached',
    upstream_invalid: 'broke off or sent no valid answer',
    upstream_timeout: 'did not answer in time',
  }
  const arrived = mayHaveArrived
    ? 'The request may have reached it: check before you send it again.'
    : 'The request did not reach it.'
  return refuse(error, `${provider.title} ${said[error]}. ${arrived}`, {
    may_have_arrived: mayHaveArrived,
  })
}

function saysExpired({ envelope }: Provider, peeked: Peeked): boolean {
  const status = envelope ? peeked.envelope?.value : peeked.answer.status
  return status != null && (envelope?.expired ?? [401]).includes(status)
}

async function giveBack(call: Call, appended: Attempt, peeked: Peeked): Promise<null> {
  const headers = responseHeaders(peeked.answer.rawHeaders, placeOf(call, appended))
  await reply({ ...peeked, headers }, call.response, ({ bytesOut, error }) =>
    close(call, appended, {
      status: peeked.answer.status,
      providerStatus: peeked.envelope?.value ?? null,
      bytesOut,
      error: error && brokenBecause(call, error),
    }),
  )
  return null
}

function placeOf({ parts, provider, url }: Call, { audited }: Attempt): Place {
  const { origin, path } = audited.composed
  const calledPath = url.split('?', 1)[0] || '/'
  return { provider, publicUrl: parts.publicUrl, calledPath, sentTo: origin + path }
}

/** The one who broke it off before the other side noticed; else `error`, what that side saw. */
function brokenBecause({ hangup, isCut, stream }: Call, error: string): string {
  if (hangup.hasHappened) return isCut ? 'cut' : 'client_gone'
  return stream?.refusal?.code ?? error
}

async function close(
  call: Call,
  appended: Attempt,
  outcome: {
    readonly status: number | null
    readonly providerStatus: number | null
    readonly bytesOut?: number
    readonly error?: string | null
  },
): Promise<void> {
  const { stream } = call
  await appendOutcome(call.parts.store, appended, {
    ...{ bytesOut: 0, error: null, ...outcome },
    bytesIn: stream?.bytesSent ?? appended.bytesIn,
    requestDigest: stream?.digest ?? null,
    durationMs: performance.now() - call.startedMs,
  })
}

/** Who calls, as far as it is known. */
type Caller = {
  readonly operation: Operation
  readonly agentName: string | null
  readonly connection: ConnectionView | null
}

type Refused = {
  readonly refusal: Refusal
  readonly rule?: string | null
  readonly composed?: ComposedRequest | null
  readonly attemptNo?: number
}

/** The refusal is recorded before it is answered; the record counts as its own outcome. */
async function deny(call: Call, verified: Caller, refused: Refused): Promise<Refusal> {
  const { refusal, rule = null, composed = null, attemptNo = 1 } = refused
  const facts = factsOf(call, verified, { composed, attemptNo })
  const { code } = refusal
  await appendDenial(call.parts.store, facts, { code, status: errors[code].status, rule })
  return refusal
}

/** Floods of one agent's same refusal become one record with a count. */
async function refuseFlood(
  call: Call,
  who: Caller,
  refusal: Refusal,
  { composed = null, attemptNo = 1 }: Pick<Refused, 'composed' | 'attemptNo'> = {},
): Promise<Refusal> {
  const { code, members } = refusal
  const { limit } = members
  const facts = factsOf(call, who, { composed, attemptNo })
  const denial = { code, status: errors[code].status, rule: null }
  await call.parts.coalescer.record({
    ...denialFields(call.parts.store, facts, denial),
    ...{ agent: facts.operation.agentId, reason: code },
    ...(typeof limit === 'string' && { limit }),
  })
  return refusal
}

/** Recorded once the caller is known: a token whose signature never held names nobody. */
async function refuseToken(call: Call, refusal: TokenRefusal): Promise<Refusal> {
  const { operation } = refusal
  if (operation === null) return refusal
  return await refuseFlood(call, { operation, agentName: null, connection: null }, refusal)
}

function factsOf(
  call: Call,
  { operation, agentName, connection }: Caller,
  { composed, attemptNo }: { composed: ComposedRequest | null; attemptNo: number },
): CallFacts {
  const { parts, provider, request, requestId } = call
  const body = composed && heldBytesOf(composed)
  return {
    requestId,
    attemptNo,
    operation,
    agentName,
    connectionLabel: connection?.label ?? null,
    owner: connection?.owner ?? null,
    agentMethod: request.method ?? '',
    agentPath: call.url,
    catalogDigest: parts.catalog.digest,
    sandbox: provider.sandbox !== null,
    transport: transportOf(provider, composed?.origin ?? provider.origin),
    method: composed?.method ?? null,
    target: composed && composed.path + (composed.query === null ? '' : `?${composed.query}`),
    action: composed?.action ?? null,
    requestDigest: body && hash('sha256', body, 'base64url'),
  }
}

const heldBytesOf = ({ body }: ComposedRequest) => (body === 'streamed' ? null : body)

function transportOf({ sandbox }: Provider, origin: string): Transport {
  if (!origin.startsWith('https:')) return 'plain'
  return sandbox === null ? 'tls' : 'tls_own_ca'
}

/** A refusal as the agent sees it. Of a body that was not read nobody knows the end: hang up. */
function answerRefusal(
  { publicUrl }: ProxyParts,
  { request, response, requestId }: Pick<Call, 'request' | 'response' | 'requestId'>,
  refusal: Refusal,
): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  const { status, headers, body } = problem(refusal, { publicUrl, requestId })
  const closing = request.complete ? {} : { connection: 'close' }
  response.writeHead(status, { ...headers, ...closing, 'content-length': Buffer.byteLength(body) })
  response.end(request.method === 'HEAD' ? undefined : body)
}

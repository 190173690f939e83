import { type Appended, append, appendOutcome } from '../audit/append.ts'
import type { Provider } from '../catalog/provider.ts'
import type { Taken } from '../connections/credentials.ts'
import { isRefusal, type Refusal, refuse } from '../errors.ts'
import { inject } from '../inject/inject.ts'
import type { Through, Unit } from '../limits/application-limits.ts'
import { type Denial, decide, isDenied } from '../policy/decide.ts'
import type { Verified } from '../tokens/operation-token.ts'
import type { AllowedRequest, AuthorizedRequest, ComposedRequest } from '../words.ts'
import type { Call } from './call.ts'
import { deny, refuseFlood } from './denial.ts'
import { factsOf, heldBytesOf } from './facts.ts'
import { type Answer, type Failure, isFailure } from './forward.ts'
import { responseHeaders } from './headers.ts'
import { heed, saysTooMany } from './heed.ts'
import type { Place } from './links.ts'
import { type Peeked, peek, reply } from './reply.ts'

/** Sends at most twice: again only after the provider called the credential expired. */
export async function attempt(
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

async function send(
  call: Call,
  appended: Attempt,
  credential: Parameters<typeof inject>[1],
): Promise<Peeked | Refusal> {
  const { provider, stream } = call
  try {
    const authorized = inject(appended.audited, credential, provider)
    const answer = await forwardInTime(call, appended, authorized)
    if (isRefusal(answer)) {
      const unsent = { ...appended, bytesIn: 0 }
      await close(call, unsent, { status: null, providerStatus: null, error: answer.code })
      return answer
    }
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

/**
 * The unit is spent when there is a socket to send on. One that waited too long for that, or for the
 * credential, has gone back: another is taken, and the call gets in line again.
 */
async function forwardInTime(
  call: Call,
  { unit, verified }: Attempt,
  authorized: AuthorizedRequest,
): Promise<Answer | Failure | Refusal> {
  const { parts, provider, hangup, stream } = call
  const { firstByteSeconds, idleSeconds } = provider.limits
  const waits = { firstByteMs: firstByteSeconds * 1000, idleMs: idleSeconds * 1000 }
  for (let current = unit, left = maxSends; left > 0; left -= 1) {
    let isLate = false
    const mayStart = () => {
      isLate = !parts.limits.spend(current)
      return !isLate
    }
    const answer = await parts.upstream.forward(authorized, { ...waits, hangup, stream, mayStart })
    if (!isLate) return answer
    // What was to be streamed is given up together with the request that it was for.
    if (stream) break
    const taken: Unit | Refusal = await takeUnit(call, verified)
    if (isRefusal(taken)) return taken
    current = taken
  }
  return refuse(
    'overloaded',
    `All connections to ${provider.title} are busy; nothing was sent.`,
    {},
    1,
  )
}

/** Times that a call gets in line for a socket. */
const maxSends = 4

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
  const idleMs = call.provider.limits.idleSeconds * 1000
  await reply({ ...peeked, headers, idleMs }, call.response, ({ bytesOut, error }) =>
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

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Coalescer } from '../audit/coalesce.ts'
import type { Catalog } from '../catalog/load.ts'
import type { Provider } from '../catalog/provider.ts'
import type { Credentials } from '../connections/credentials.ts'
import { isRefusal, type Refusal, refuse } from '../errors.ts'
import type { ApplicationLimits } from '../limits/application-limits.ts'
import type { Store } from '../store/store.ts'
import type { Verifier } from '../tokens/operation-token.ts'
import type { Clock } from '../words.ts'
import type { Admitted } from './admit.ts'
import { BodyStream } from './body-stream.ts'
import type { CallsUnderWay } from './calls-under-way.ts'
import type { AgentBody } from './compose.ts'
import type { Upstream } from './forward.ts'
import { Hangup } from './hangup.ts'
import { methodOverride, valuesOf } from './headers.ts'
import { hasBody, isLong, readBody, refuseLength } from './read-body.ts'

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
export type Call = {
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

/** Takes the path and the token out of a request; a refusal where either is missing. */
export function beginCall(
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
export async function bodyOf(call: Call): Promise<AgentBody | 'streamed' | null | Refusal> {
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

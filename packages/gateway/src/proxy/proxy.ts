import type { IncomingMessage, ServerResponse } from 'node:http'
import { isRefusal, problem, type Refusal, refusalOf } from '../errors.ts'
import { attempt } from './attempt.ts'
import { beginCall, bodyOf, type Call, type ProxyParts } from './call.ts'
import { compose } from './compose.ts'
import { deny, refuseFlood, refuseToken } from './denial.ts'
import { resolveTarget } from './target.ts'

export type { ProxyParts }

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
    const call = beginCall(parts, incoming)
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
    operation: verified.operation,
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

import { type Context, Hono } from 'hono'
import type { Coalescer } from '../audit/coalesce.ts'
import { isRefusal, problem, type Refusal, refuse } from '../errors.ts'
import { revokeOperationToken } from '../store/operation-token.ts'
import { authenticate, type Caller } from './authenticate.ts'
import { type Issued, type IssueParts, issue } from './issue.ts'
import { readOperation } from './jwt.ts'
import type { Verifier } from './operation-token.ts'
import { readBody } from './read-body.ts'
import { parseTokenRequest, type TokenRequest } from './token-request.ts'

/** What app.ts puts into the context of every request. */
export type Env = { Variables: { requestId: string } }

export type ExchangeParts = IssueParts & {
  readonly verifier: Pick<Verifier, 'forget'>
  readonly coalescer: Coalescer
  readonly log: { info(fields: object, message: string): void }
}

/** A request at this door: what its sender sent, and what we call it. */
type Sent = {
  readonly authorization: string | undefined
  readonly body: string | Refusal
  readonly requestId: string
}

/** What came of it. The caller is null until the service token is known. */
type Outcome<Answer> = {
  readonly caller: Caller | null
  readonly asked: TokenRequest | null
  readonly answer: Answer | Refusal
}

/** How often a token is tried again while revocations and narrowings overtake it. */
const maxTries = 4

/**
 * The door `/t`: `POST /t/tokens` trades a service token for an operation token, `POST /t/revoke`
 * (RFC 7009) ends one, `GET /.well-known/jwks.json` shows the keys. Refusals of a known agent are
 * recorded as `token.refused`; malfunctions are thrown for the app to answer.
 */
export function exchangeRoutes(parts: ExchangeParts): Hono<Env> {
  const app = new Hono<Env>()
  app.post('/t/tokens', async (context) => {
    const sent = await readSent(context, 'application/json')
    const { answer } = await recordRefusal(parts, sent, await exchange(parts, sent))
    return isRefusal(answer) ? refused(parts, context, answer) : tokenAnswer(context, answer)
  })
  app.post('/t/revoke', async (context) => {
    const sent = await readSent(context, 'application/x-www-form-urlencoded')
    const { answer } = await recordRefusal(parts, sent, await revoke(parts, sent))
    if (isRefusal(answer)) return refused(parts, context, answer)
    return context.body(null, 200, { 'cache-control': 'no-store' })
  })
  app.get('/.well-known/jwks.json', async (context) => {
    const keys = await parts.keys.publicKeys()
    return context.json({ keys }, 200, { 'cache-control': 'public, max-age=300' })
  })
  for (const [path, allow] of [
    ['/t/tokens', 'POST'],
    ['/t/revoke', 'POST'],
    ['/.well-known/jwks.json', 'GET, HEAD'],
  ] as const) {
    app.all(path, (context) => {
      const refusal = refuse('method_not_allowed', `${path} takes ${allow}.`)
      const response = refused(parts, context, refusal)
      response.headers.set('allow', allow)
      return response
    })
  }
  return app
}

/** Judges what was sent and issues a token; reads everything anew when the policy changed. */
export async function exchange(parts: ExchangeParts, sent: Sent): Promise<Outcome<Issued>> {
  const { store, clock } = parts
  for (let tries = 0; tries < maxTries; tries += 1) {
    const policyEpoch = store.policyEpoch()
    const known = await authenticate({ store, nowMs: clock() }, sent.authorization)
    if (isRefusal(known)) return { caller: null, asked: null, answer: known }
    const { caller, refusal } = known
    const asked = isRefusal(sent.body) ? sent.body : parseTokenRequest(sent.body)
    if (isRefusal(asked)) return { caller, asked: null, answer: refusal ?? asked }
    if (refusal !== null) return { caller, asked, answer: refusal }
    const { requestId } = sent
    const answer = await issue(parts, { caller, asked, policyEpoch, requestId })
    if (answer !== 'stale') return { caller, asked, answer }
  }
  const busy = 'Grants and revocations change faster than a token can be issued. Try again.'
  return { caller: null, asked: null, answer: refuse('overloaded', busy, {}, 1) }
}

/**
 * Ends one of the caller's own operation tokens, recorded as `token.revoked`; holds on every node
 * once it resolves. A token that is unknown, expired or revoked needs no ending (RFC 7009, 2.2).
 */
export async function revoke(parts: ExchangeParts, sent: Sent): Promise<Outcome<'revoked'>> {
  const { store, clock, verifier } = parts
  const known = await authenticate({ store, nowMs: clock() }, sent.authorization)
  if (isRefusal(known)) return { caller: null, asked: null, answer: known }
  const { caller, refusal } = known
  const judge = (answer: 'revoked' | Refusal) => ({ caller, asked: null, answer })
  if (refusal !== null) return judge(refusal)
  const token = isRefusal(sent.body) ? sent.body : readTokenParameter(sent.body)
  if (isRefusal(token)) return judge(token)
  const operation = await readOperation(token, parts)
  if ('kind' in operation) return judge('revoked')
  if (operation.agentId !== caller.agentId) return judge(othersToken)
  const { jti, agentId, serviceTokenId: service_token, provider, intent } = operation
  const subject = { agent: agentId, service_token, provider, connection: operation.connectionId }
  await store.write({
    statements: [revokeOperationToken(store.db, { jti, agentId, nowMs: clock() })],
    records: [
      store.draft({
        ...{ kind: 'token.revoked', request_id: sent.requestId, ...subject, jti, intent },
        ...{ agent_name: caller.agentName },
      }),
    ],
    bumpsPolicy: true,
  })
  verifier.forget(token)
  return judge('revoked')
}

const othersToken = refuse(
  'invalid_request',
  'This operation token belongs to another agent: only that one, or an operator, may revoke it.',
)

/** `token`, once (RFC 7009, section 2.1; RFC 6749, section 3.2: no parameter twice). */
function readTokenParameter(body: string): string | Refusal {
  const [token, ...more] = new URLSearchParams(body).getAll('token')
  if (token && more.length === 0) return token
  return refuse('invalid_request', 'The parameter `token` must be there once.')
}

async function readSent(context: Context<Env>, contentType: string): Promise<Sent> {
  return {
    authorization: context.req.header('authorization'),
    body: await readBody(context.req.raw, contentType),
    requestId: context.get('requestId'),
  }
}

/** Records a refusal once the caller is known; that of a stranger is in the process log alone. */
async function recordRefusal<Answer>(
  { coalescer, catalog, log }: ExchangeParts,
  { requestId }: Sent,
  outcome: Outcome<Answer>,
): Promise<Outcome<Answer>> {
  const { caller, asked, answer } = outcome
  if (!isRefusal(answer)) return outcome
  log.info({ requestId, code: answer.code, agent: caller?.agentId }, 'token refused')
  if (caller === null) return outcome
  await coalescer.record({
    kind: 'token.refused',
    request_id: requestId,
    agent: caller.agentId,
    service_token: caller.serviceTokenId,
    provider: asked && catalog.providers.has(asked.provider) ? asked.provider : null,
    scope: asked?.scope ?? null,
    reason: answer.code,
    intent: asked?.intent ?? null,
    agent_name: caller.agentName,
  })
  return outcome
}

function tokenAnswer(
  context: Context<Env>,
  { token, operation, issuedAt, connectionLabel }: Issued,
) {
  const { provider, connectionId, scope, expiresAt } = operation
  const answer = {
    token,
    token_type: 'Bearer',
    expires_in: expiresAt - issuedAt,
    expires_at: new Date(expiresAt * 1_000).toISOString(),
    provider,
    connection: connectionLabel,
    connection_id: connectionId,
    scope,
  }
  const requestId = context.get('requestId')
  return context.json(answer, 200, { 'cache-control': 'no-store', 'okoro-request-id': requestId })
}

function refused({ publicUrl }: ExchangeParts, context: Context<Env>, refusal: Refusal): Response {
  const requestId = context.get('requestId')
  const { status, headers, body } = problem(refusal, { publicUrl, requestId })
  return new Response(body, { status, headers })
}

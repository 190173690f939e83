import { isRefusal, type Refusal, refuse } from '../errors.ts'
import { Secret } from '../secret.ts'
import { claimFlow, endFlow, findFlow } from '../store/connect-flow.ts'
import type { ConnectFlowRow } from '../store/schema.ts'
import { openApplication, restrictionOf } from './applications.ts'
import {
  type ConsentProvider,
  cookieName,
  type FlowParts,
  flowRecord,
  openFlowSecrets,
  partsOf,
} from './connect.ts'
import type { ConnectionsContext } from './context.ts'
import { expiryOf, secretsOf } from './credential.ts'
import { type ConnectFailure, fail } from './failure.ts'
import { digest } from './handles.ts'
import { type Connected, keepConnection, type Obtained } from './keep.ts'
import { readCallback, type Tokens, tradeCode } from './oauth2.ts'

/** What a provider's redirect leads to: a connection, or the reason why there is none. */

export type BrowserReturn = {
  /** Of the callback's path. */
  readonly provider: string
  readonly parameters: URLSearchParams
  /** The browser's cookie of this name, if it has one. */
  readonly cookie: (name: string) => string | undefined
}

/**
 * Takes what the provider's redirect brought to `/connect/callback/<provider>`. A state counts
 * once, whatever becomes of it: an answer from another browser or for another provider ends the
 * flow. Failures of known flows are recorded (`connection.failed`), unknown states are not: anyone
 * can send those.
 */
export async function finish(
  context: ConnectionsContext,
  { provider, parameters, cookie }: BrowserReturn,
): Promise<Connected | ConnectFailure> {
  const state = parameters.get('state') ?? ''
  const flow = await findFlow(context.store.db, { state_hash: digest(state) })
  if (!flow) return fail('unknown_state')
  const held = cookie(cookieName(context.publicUrl, state))
  const isSameBrowser = held !== undefined && digest(held) === flow.cookie_hash
  return redeem(context, flow, {
    parameters,
    objection:
      flow.provider !== provider ? 'wrong_provider' : isSameBrowser ? null : 'wrong_browser',
  })
}

export type PastedReturn = {
  readonly flowId: string
  /** As told by `beginFlow`. */
  readonly session: string
  /** The whole address that the provider sent the browser to. */
  readonly redirectUrl: string
}

/**
 * Takes a redirect URL that was pasted, from the admin session that began the flow. A wrong paste
 * (another address, another flow's state) uses nothing up.
 */
export async function finishPasted(
  context: ConnectionsContext,
  { flowId, session, redirectUrl }: PastedReturn,
): Promise<Connected | Refusal> {
  const flow = await findFlow(context.store.db, { id: flowId })
  if (!flow || digest(session) !== flow.session_hash) {
    return refuse('not_found', `There is no flow ${flowId} that this session began.`)
  }
  const url = URL.parse(redirectUrl.trim())
  const registered = new URL(flow.redirect_uri)
  if (url?.origin !== registered.origin || url.pathname !== registered.pathname) {
    const expected = `${registered.origin}${registered.pathname}?code=…&state=…`
    return refuse('invalid_request', `redirect_url: paste the whole address, like ${expected}`)
  }
  const parameters = url.searchParams
  if (digest(parameters.get('state') ?? '') !== flow.state_hash) return fail('unknown_state')
  return redeem(context, flow, { parameters, objection: null })
}

type Answer = {
  readonly parameters: URLSearchParams
  readonly objection: 'wrong_provider' | 'wrong_browser' | null
}

async function redeem(
  context: ConnectionsContext,
  flow: ConnectFlowRow,
  { parameters, objection }: Answer,
): Promise<Connected | ConnectFailure> {
  const { store, clock } = context
  const claim = claimFlow(store.db, flow.id, clock())
  const { kind } = await store.write({ statements: [claim], records: [] })
  if (kind !== 'done') return fail('already_finished')
  const parts = await partsOf(context, flow)
  const reason = clock() >= flow.expires_at ? 'expired' : objection
  const result =
    reason !== null || parts === null
      ? fail(reason ?? 'connection_gone')
      : await connect(context, { ...parts, flow, parameters })
  if (isRefusal(result)) await recordFailure(context, { flow, parts }, result)
  return result
}

type Attempt = FlowParts & { readonly flow: ConnectFlowRow; readonly parameters: URLSearchParams }

async function connect(
  context: ConnectionsContext,
  attempt: Attempt,
): Promise<Connected | ConnectFailure> {
  const tokens = await obtainTokens(context, attempt)
  if (isRefusal(tokens)) return tokens
  const { flow, provider, application } = attempt
  const { may_change_account: mayChangeAccount } = await openFlowSecrets(context, flow)
  return await keepConnection(context, {
    place: {
      ...{ provider, connectionId: flow.connection_id, label: flow.label, owner: flow.owner },
      ...{ applicationId: application.id, mayChangeAccount },
    },
    obtained: obtainedFrom(tokens, provider, context.clock()),
    aside: {
      statements: (connectionId) => [
        endFlow(context.store.db, { id: flow.id, connection_id: connectionId }),
      ],
      record: { flow: flow.id },
    },
  })
}

function obtainedFrom(tokens: Tokens, { auth }: ConsentProvider, obtainedAt: number): Obtained {
  return {
    ...{ secrets: new Secret(secretsOf(tokens, null)), obtainedAt },
    ...{ account: tokens.account, accountName: null },
    // RFC 6749, section 5.1: an answer without a scope grants what was asked for.
    grantedScopes: tokens.scopes ?? auth.scopes.map((scope) => scope.name).join(' '),
    expiresAt: expiryOf(tokens, obtainedAt),
  }
}

async function obtainTokens(
  context: ConnectionsContext,
  { flow, provider, parameters }: Attempt,
): Promise<Tokens | ConnectFailure> {
  const { auth } = provider
  const callback = readCallback(auth, parameters, parameters.get('state') ?? '')
  if (callback.kind === 'malformed') return fail('unknown_state')
  if (callback.kind === 'error') {
    if (callback.error === 'access_denied') return fail('denied')
    const restriction = restrictionOf(provider, flow.redirect_uri)
    const said = `${provider.title} said: ${callback.error}.`
    return fail('provider_refused', restriction === null ? said : `${said} ${restriction}`)
  }
  const application = await openApplication(context, flow.application_id)
  if (!application) return fail('connection_gone')
  const { verifier } = await openFlowSecrets(context, flow)
  const { row, clientSecret } = application
  const answer = await tradeCode(
    { auth, clientId: row.client_id, clientSecret, fetch: context.fetch },
    { parameters: callback.parameters, redirectUri: flow.redirect_uri, verifier },
  )
  if (answer.kind === 'tokens') return answer
  const lives = `A code of ${provider.title} lives ${auth.token.codeLifetimeSeconds} seconds.`
  return answer.hasAnswered
    ? fail('code_refused', `${lives} ${provider.title} said: ${answer.text}.`)
    : fail('provider_unavailable', answer.text)
}

async function recordFailure(
  { store }: ConnectionsContext,
  { flow, parts }: { readonly flow: ConnectFlowRow; readonly parts: FlowParts | null },
  { members }: ConnectFailure,
): Promise<void> {
  await store.write({
    statements: [endFlow(store.db, { id: flow.id, connection_id: null })],
    records: [
      store.draft({
        ...{ kind: 'connection.failed', ...flowRecord(flow, parts?.application) },
        ...{ reason: members.reason, error_text: members.detail },
      }),
    ],
  })
}

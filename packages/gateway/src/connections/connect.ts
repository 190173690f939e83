import type { OAuth2 } from '../catalog/auth/oauth2.ts'
import type { Provider } from '../catalog/provider.ts'
import { isRefusal, type Refusal, refuse } from '../errors.ts'
import { Secret } from '../secret.ts'
import { findApplication, listApplications } from '../store/application.ts'
import { deleteOldFlows, findFlow, insertFlow, openFlow } from '../store/connect-flow.ts'
import type { ApplicationRow, ConnectFlowRow } from '../store/schema.ts'
import { isSandboxed } from './connection.ts'
import type { ConnectionsContext } from './context.ts'
import { type ConnectFailure, fail } from './failure.ts'
import { digest, newHandle, newId } from './handles.ts'
import { authorizationUrl, newVerifier } from './oauth2.ts'
import { type ConnectionPlan, type ConnectionRequest, planConnection } from './plan.ts'

/**
 * The way to a connection: `beginFlow` makes a link, `openLink` sends the browser that opens it to
 * the provider, finish.ts takes what comes back. Of every capability only the hash is stored.
 */

/** Milliseconds that a link waits to be opened. */
const linkLifetimeMs = 60 * 60_000
/** Milliseconds from there until the provider must have sent the browser back. */
const stateLifetimeMs = 10 * 60_000
/** Old flows are kept this long to tell people that their link was used, not unknown. */
const memoryMs = 7 * 86_400_000

export type FlowRequest = ConnectionRequest & {
  /** The newest application of the provider when absent. */
  readonly applicationId?: string | undefined
}

export type BegunFlow = {
  readonly flowId: string
  /** To be opened once, in the browser of the account's owner. */
  readonly link: string
  /** Kept by whoever began the flow: a redirect URL is pasted together with it. Told only here. */
  readonly session: string
  /** Milliseconds since the Unix epoch, for opening the link. */
  readonly expiresAt: number
}

/** Begins to connect an account (`connection.started`). Refusals say what is missing or taken. */
export async function beginFlow(
  context: ConnectionsContext,
  request: FlowRequest,
): Promise<BegunFlow | Refusal> {
  const { store, vault, clock, random, publicUrl } = context
  const plan = await planFlow(context, request)
  if (isRefusal(plan)) return plan
  const { provider, application, existing, label, owner } = plan
  const [id, link, session] = [newId('flw', random), newHandle(random), newHandle(random)]
  const sealed: FlowSecrets = {
    verifier: newVerifier(provider.auth),
    may_change_account: request.confirmAccountChange ?? false,
  }
  const expiresAt = clock() + linkLifetimeMs
  const flow = {
    ...{ id, provider: provider.name, application_id: application.id, label, owner },
    ...{ connection_id: existing?.id ?? null, redirect_uri: application.redirect_uri },
    ...{ link_hash: digest(link), session_hash: digest(session) },
    ...{ cookie_hash: null, state_hash: null, used_at: null },
    sealed_verifier: await vault.seal(placeOf(id), new Secret(JSON.stringify(sealed))),
    ...{ created_at: clock(), expires_at: expiresAt },
  }
  await store.write({
    statements: [insertFlow(store.db, flow), deleteOldFlows(store.db, clock() - memoryMs)],
    records: [store.draft({ kind: 'connection.started', ...flowRecord(flow, application) })],
  })
  return { flowId: id, link: `${publicUrl}/connect/start/${link}`, session, expiresAt }
}

export type OpenedLink = {
  /** For the browser to keep until it comes back; finish.ts demands it together with the state. */
  readonly cookie: { readonly name: string; readonly value: string; readonly maxAgeSeconds: number }
  /** The provider's consent page. */
  readonly redirectTo: string
}

/**
 * Opens a link, once: its state is made here (256 bits, ten minutes) and bound to the cookie,
 * the provider, the application and the redirect URI of the flow (RFC 9700, section 4.7).
 */
export async function openLink(
  context: ConnectionsContext,
  link: string,
): Promise<OpenedLink | ConnectFailure> {
  const { store, clock, random, publicUrl } = context
  const flow = await findFlow(store.db, { link_hash: digest(link) })
  if (!flow) return fail('unknown_link')
  if (flow.state_hash !== null || flow.used_at !== null) return fail('used_link')
  if (clock() >= flow.expires_at) return fail('expired')
  const parts = await partsOf(context, flow)
  if (parts === null) return fail('connection_gone')
  const [state, cookie] = [newHandle(random), newHandle(random)]
  const opened = {
    ...{ id: flow.id, state_hash: digest(state), cookie_hash: digest(cookie) },
    expires_at: clock() + stateLifetimeMs,
  }
  const { kind } = await store.write({ statements: [openFlow(store.db, opened)], records: [] })
  if (kind !== 'done') return fail('used_link')
  const { verifier } = await openFlowSecrets(context, flow)
  const { client_id: clientId } = parts.application
  const request = { clientId, redirectUri: flow.redirect_uri, state, verifier }
  return {
    cookie: {
      name: cookieName(publicUrl, state),
      value: cookie,
      maxAgeSeconds: stateLifetimeMs / 1000,
    },
    redirectTo: await authorizationUrl(parts.provider.auth, request),
  }
}

export type FlowStatus = 'begun' | 'opened' | 'finishing' | 'connected' | 'failed' | 'expired'

/** How far a flow has come, for whoever began it; null when there is no such flow. */
export async function showFlow(
  { store, clock }: ConnectionsContext,
  id: string,
): Promise<{
  readonly id: string
  readonly provider: string
  readonly label: string
  readonly status: FlowStatus
  readonly connectionId: string | null
  readonly expiresAt: number
} | null> {
  const flow = await findFlow(store.db, { id })
  if (!flow) return null
  const status = statusOf(flow, clock())
  const connectionId = status === 'failed' ? null : flow.connection_id
  const { provider, label, expires_at: expiresAt } = flow
  return { id, provider, label, status, connectionId, expiresAt }
}

function statusOf(flow: ConnectFlowRow, nowMs: number): FlowStatus {
  const isOver = nowMs >= flow.expires_at
  if (flow.used_at === null) return isOver ? 'expired' : flow.state_hash ? 'opened' : 'begun'
  // Still with a verifier after its time: whoever was finishing it died.
  if (flow.sealed_verifier !== null) return isOver ? 'failed' : 'finishing'
  return flow.connection_id === null ? 'failed' : 'connected'
}

/** What only the end of a flow needs to know; kept in the sealed column. */
export type FlowSecrets = {
  readonly verifier: string | null
  readonly may_change_account: boolean
}

export async function openFlowSecrets(
  { vault }: ConnectionsContext,
  { id, sealed_verifier }: ConnectFlowRow,
): Promise<FlowSecrets> {
  if (sealed_verifier === null) return { verifier: null, may_change_account: false }
  return JSON.parse((await vault.open(placeOf(id), sealed_verifier)).reveal())
}

/** One name for each flow: two links opened in one browser don't take each other's cookie away. */
export const cookieName = (publicUrl: string, state: string): string =>
  `${publicUrl.startsWith('https:') ? '__Secure-' : ''}okoro_connect_${digest(state).slice(0, 16)}`

/** A provider where people consent on a page of its own. */
export type ConsentProvider = Provider & { readonly auth: OAuth2 }

const hasConsent = (provider: Provider): provider is ConsentProvider =>
  provider.auth.scheme === 'oauth2'

export type FlowParts = { readonly provider: ConsentProvider; readonly application: ApplicationRow }

/** Null when the catalogue, the application or the sandbox changed since the flow was begun. */
export async function partsOf(
  { store, catalog }: ConnectionsContext,
  flow: Pick<ConnectFlowRow, 'provider' | 'application_id'>,
): Promise<FlowParts | null> {
  const provider = catalog.providers.get(flow.provider)
  const application = await findApplication(store.db, flow.application_id)
  if (!provider || !hasConsent(provider) || !application) return null
  return isSandboxed(provider) === (application.sandbox === 1) ? { provider, application } : null
}

/** What a record says of a flow. */
export const flowRecord = (
  flow: Pick<
    ConnectFlowRow,
    'id' | 'provider' | 'application_id' | 'connection_id' | 'label' | 'owner'
  >,
  made: { readonly sandbox: number } | undefined,
) => ({
  ...{ flow: flow.id, provider: flow.provider, application: flow.application_id },
  ...{ connection: flow.connection_id, sandbox: made ? made.sandbox === 1 : null },
  ...{ connection_label: flow.label, owner: flow.owner },
})

async function planFlow(
  context: ConnectionsContext,
  request: FlowRequest,
): Promise<(ConnectionPlan & FlowParts) | Refusal> {
  const plan = await planConnection(context, request)
  if (isRefusal(plan)) return plan
  const { provider } = plan
  if (!hasConsent(provider)) return hasNoConsent(provider)
  const application = await chooseApplication(context, provider, request.applicationId)
  return isRefusal(application) ? application : { ...plan, provider, application }
}

const hasNoConsent = ({ name, title }: Provider): Refusal =>
  refuse(
    'invalid_request',
    `${title} has no consent page to link to: a credential is pasted. okoro connections add ${name}`,
  )

/** RFC 6749 binds tokens to their client; a sandbox's must never meet the real host. */
async function chooseApplication(
  { store }: ConnectionsContext,
  provider: Provider,
  id: string | undefined,
): Promise<ApplicationRow | Refusal> {
  const all = await listApplications(store.db, provider.name)
  const usable = all.filter((row) => (row.sandbox === 1) === isSandboxed(provider))
  const chosen = id === undefined ? usable.at(-1) : usable.find((row) => row.id === id)
  if (chosen) return chosen
  const which = isSandboxed(provider) ? 'its sandbox' : provider.title
  return refuse(
    'not_found',
    id === undefined
      ? `There is no application for ${which} yet: okoro applications add ${provider.name}`
      : `There is no application ${id} for ${which}.`,
  )
}

const placeOf = (row: string) => ({ table: 'connect_flow', row, column: 'sealed_verifier' })

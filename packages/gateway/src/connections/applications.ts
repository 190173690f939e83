import type { RedirectUriRule } from '../catalog/auth/oauth2.ts'
import type { CallLimit } from '../catalog/limits.ts'
import type { Provider } from '../catalog/provider.ts'
import { type Refusal, refuse } from '../errors.ts'
import type { Secret } from '../secret.ts'
import {
  changeApplicationLimit,
  deleteApplication,
  findApplication,
  insertApplication,
  listApplications as listRows,
  replaceApplicationSecret,
} from '../store/application.ts'
import { deleteBudget } from '../store/call-budget.ts'
import type { ApplicationRow } from '../store/schema.ts'
import type { ConnectionsContext } from './context.ts'
import { newId } from './handles.ts'

/** Our OAuth client at a provider; never its secret. */
export type Application = {
  readonly id: string
  readonly provider: string
  readonly clientId: string
  readonly redirectUri: string
  readonly sandbox: boolean
  readonly limit: LimitChoice
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number
}

/** The operator's word on an application's limit; `default` leaves it to the provider file. */
export type LimitChoice = CallLimit | 'default' | 'none'

export type NewApplication = {
  readonly provider: string
  readonly clientId: string
  readonly secret: Secret<string>
  /** As registered at the provider; `redirectUriOf` when absent. */
  readonly redirectUri?: string | undefined
  /** `default` when absent. */
  readonly limit?: LimitChoice | undefined
}

/** Where a provider sends people back to: from configuration alone. */
export const redirectUriOf = (publicUrl: string, provider: string): string =>
  `${publicUrl}/connect/callback/${provider}`

/** Seals the secret and records `application.added`. A client id twice is a `conflict`. */
export async function addApplication(
  context: ConnectionsContext,
  { provider: name, clientId, secret, redirectUri, limit = 'default' }: NewApplication,
): Promise<Application | Refusal> {
  const { store, publicUrl, clock, random } = context
  const provider = context.catalog.providers.get(name)
  if (!provider) return refuse('unknown_provider', `There is no provider ${name}.`)
  if (provider.auth.scheme !== 'oauth2') return needsNoApplication(provider)
  const uri = redirectUri ?? redirectUriOf(publicUrl, name)
  if (!isRedirectUri(uri)) return refuse('invalid_request', `redirect_uri: ${uri} is no web URL.`)
  if (clientId === '' || secret.reveal() === '') {
    return refuse('invalid_request', 'client_id and client_secret must not be empty.')
  }
  const id = newId('app', random)
  const row = {
    ...{ id, provider: name, client_id: clientId, redirect_uri: uri, created_at: clock() },
    ...{ sandbox: provider.sandbox === null ? 0 : 1, ...columnsOf(limit) },
    sealed_secret: await context.vault.seal(placeOf(id), secret),
  }
  const record = store.draft({ kind: 'application.added', ...recordOf(row) })
  const statements = [insertApplication(store.db, row)]
  const { kind } = await store.write({ statements, records: [record] })
  if (kind === 'done') return applicationOf({ ...row, workspace_id: '' })
  return refuse('conflict', `The client id ${clientId} is already there for ${name}.`)
}

/** Oldest first; of one provider when it is named. */
export async function listApplications(
  { store }: ConnectionsContext,
  provider: string | null = null,
): Promise<readonly Application[]> {
  return (await listRows(store.db, provider)).map(applicationOf)
}

/** Replaces the secret (`application.secret_rotated`); connections go on with the new one. */
export async function rotateSecret(
  { store, vault }: ConnectionsContext,
  { id, secret }: { readonly id: string; readonly secret: Secret<string> },
): Promise<Application | Refusal> {
  const row = await findApplication(store.db, id)
  if (!row) return noApplication(id)
  const sealed_secret = await vault.seal(placeOf(id), secret)
  const record = store.draft({ kind: 'application.secret_rotated', ...recordOf(row) })
  const statements = [replaceApplicationSecret(store.db, { id, sealed_secret })]
  const { kind } = await store.write({ statements, records: [record] })
  return kind === 'done' ? applicationOf(row) : noApplication(id)
}

/**
 * Changes what the application may do (`application.limit_changed`). Holds at once: what nodes have
 * taken ahead of their calls is taken no more once they know, which is before their next attempt.
 */
export async function changeLimit(
  { store }: ConnectionsContext,
  { id, limit }: { readonly id: string; readonly limit: LimitChoice },
): Promise<Application | Refusal> {
  const row = await findApplication(store.db, id)
  if (!row) return noApplication(id)
  const changed = { ...row, ...columnsOf(limit) }
  const record = store.draft({ kind: 'application.limit_changed', ...recordOf(changed) })
  const statements = [changeApplicationLimit(store.db, { id, ...columnsOf(limit) })]
  const { kind } = await store.write({ statements, records: [record], bumpsPolicy: true })
  return kind === 'done' ? applicationOf(changed) : noApplication(id)
}

/** What holds now: the operator's limit, else the provider file's; null for none. */
export function limitOf({ limit }: Application, provider: Provider | undefined): CallLimit | null {
  if (limit === 'none') return null
  return limit === 'default' ? (provider?.limits.application ?? null) : limit
}

/** Forgets an application (`application.removed`); `conflict` while a connection needs it. */
export async function removeApplication(
  { store }: ConnectionsContext,
  id: string,
): Promise<Application | Refusal> {
  const row = await findApplication(store.db, id)
  if (!row) return noApplication(id)
  const record = store.draft({ kind: 'application.removed', ...recordOf(row) })
  const statements = [deleteApplication(store.db, id), ...deleteBudget(store.db, id)]
  const { kind } = await store.write({ statements, records: [record] })
  if (kind === 'done') return applicationOf(row)
  return refuse('conflict', 'Connections are renewed through this application: remove them first.')
}

export type ApplicationSecret = {
  readonly row: ApplicationRow
  readonly clientSecret: Secret<string>
}

/** Opens the secret; null when there is no such application. */
export async function openApplication(
  { store, vault }: Pick<ConnectionsContext, 'store' | 'vault'>,
  id: string,
): Promise<ApplicationSecret | null> {
  const row = await findApplication(store.db, id)
  if (!row) return null
  return { row, clientSecret: await vault.open(placeOf(id), row.sealed_secret) }
}

/** What the provider makes of this redirect URI when it breaks its rules; null when it keeps them. */
export function restrictionOf({ auth }: Provider, redirectUri: string): string | null {
  const rule = auth.scheme === 'oauth2' ? auth.redirectUri : null
  return rule !== null && breaksRule(rule, redirectUri) ? rule.otherwise : null
}

function breaksRule(rule: RedirectUriRule, redirectUri: string): boolean {
  const { protocol, hostname, port } = new URL(redirectUri)
  const portNumber = Number(port || (protocol === 'https:' ? 443 : 80))
  const isName = /\.[a-z][a-z0-9-]*$/.test(hostname) && !hostname.endsWith('.localhost')
  return (
    (rule.https && protocol !== 'https:') ||
    (rule.dnsName && !isName) ||
    (rule.ports.length > 0 && !rule.ports.includes(portNumber)) ||
    (rule.maxLength !== null && redirectUri.length > rule.maxLength)
  )
}

const isRedirectUri = (uri: string): boolean => {
  const url = URL.parse(uri)
  return url !== null && /^https?:$/.test(url.protocol) && !uri.includes('#')
}

const placeOf = (row: string) => ({ table: 'application', row, column: 'sealed_secret' })

const needsNoApplication = ({ name, title }: Provider): Refusal =>
  refuse('invalid_request', `${title} needs no application: okoro connections add ${name}`)

const noApplication = (id: string): Refusal => refuse('not_found', `There is no application ${id}.`)

type Recorded = Omit<ApplicationRow, 'workspace_id' | 'sealed_secret' | 'created_at'>

const recordOf = (row: Recorded) => ({
  ...{ application: row.id, provider: row.provider, client_id: row.client_id },
  ...{ redirect_uri: row.redirect_uri, sandbox: row.sandbox === 1, limit: choiceOf(row) },
})

type LimitColumns = Pick<ApplicationRow, 'limit_requests' | 'limit_seconds'>

function columnsOf(limit: LimitChoice): LimitColumns {
  if (limit === 'default') return { limit_requests: null, limit_seconds: null }
  if (limit === 'none') return { limit_requests: 0, limit_seconds: 0 }
  return { limit_requests: limit.requests, limit_seconds: limit.seconds }
}

function choiceOf({ limit_requests: requests, limit_seconds: seconds }: LimitColumns): LimitChoice {
  if (requests === null || seconds === null) return 'default'
  return requests === 0 ? 'none' : { requests, seconds }
}

const applicationOf = (row: ApplicationRow): Application => ({
  ...{ id: row.id, provider: row.provider, clientId: row.client_id },
  ...{ redirectUri: row.redirect_uri, sandbox: row.sandbox === 1, createdAt: row.created_at },
  limit: choiceOf(row),
})

import type { Draft, RecordFields } from '../audit/record.ts'
import type { Provider } from '../catalog/provider.ts'
import { isRefusal } from '../errors.ts'
import type { Credential } from '../inject/inject.ts'
import type { Secret } from '../secret.ts'
import {
  changeConnection,
  findConnection,
  insertConnection,
  listWaitingGrants,
} from '../store/connection.ts'
import { bindWaitingGrants } from '../store/grant.ts'
import type { ConnectionRow } from '../store/schema.ts'
import type { Statement, WriteResult } from '../store/store.ts'
import { workspace } from '../words.ts'
import { type Connection, connectionOf, isSandboxed } from './connection.ts'
import type { ConnectionsContext } from './context.ts'
import { sealSecrets } from './credential.ts'
import { type ConnectFailure, fail } from './failure.ts'
import { newId } from './handles.ts'

/** The end of every way to connect: an account whose credential works becomes a connection. */

export type Connected = {
  readonly kind: 'connected'
  readonly connection: Connection
  readonly isReconnected: boolean
}

/** What was asked for. */
export type Place = {
  readonly provider: Provider
  /** The connection that is made anew; null for a new one. */
  readonly connectionId: string | null
  readonly label: string
  readonly owner: string | null
  readonly applicationId: string | null
  readonly mayChangeAccount: boolean
}

/** What was obtained. */
export type Obtained = {
  /** By the name that the provider file uses. */
  readonly secrets: Secret<Credential['secrets']>
  readonly account: string | null
  readonly accountName: string | null
  /** Space-separated. */
  readonly grantedScopes: string
  /** Milliseconds since the Unix epoch, as is the next one; null when it does not expire. */
  readonly expiresAt: number | null
  readonly obtainedAt: number
}

/** What the way there adds to the write and to its record. */
export type Aside = {
  readonly statements: (connectionId: string) => readonly Statement[]
  readonly record: Readonly<Record<string, RecordFields[string]>>
}

/**
 * Seals the credential with its hosts and makes the connection durable, with its record
 * (`connection.connected` or `connection.reconnected`); binds the grants that wait for the first
 * one. Another account over an old connection bumps its generation, and only when that is wanted.
 */
export async function keepConnection(
  context: ConnectionsContext,
  keeping: { readonly place: Place; readonly obtained: Obtained; readonly aside: Aside },
): Promise<Connected | ConnectFailure> {
  // Another node may change a grant or the connection meanwhile: then look again.
  for (let left = 5; left > 0; left -= 1) {
    const outcome = await tryKeep(context, keeping)
    if (outcome !== 'again') return outcome
  }
  return fail('connection_gone')
}

type Keeping = Parameters<typeof keepConnection>[1]

async function tryKeep(
  context: ConnectionsContext,
  { place, obtained, aside }: Keeping,
): Promise<Connected | ConnectFailure | 'again'> {
  const { store } = context
  const policyEpoch = store.policyEpoch()
  const before = await findBefore(context, place, obtained)
  if (isRefusal(before)) return before
  const row = await rowOf(context, { place, obtained, before })
  const waiting = before === null ? await listWaitingGrants(store.db, row.provider) : []
  const result = await store.write({
    statements: [...statementsOf(context, row, before), ...aside.statements(row.id)],
    records: [
      connectedRecord(context, { row, before, aside }),
      ...waiting.map(boundRecord(context, row)),
    ],
    // Grants change with the policy alone: in this epoch those are the ones that get bound.
    ifPolicyEpoch: policyEpoch,
    bumpsPolicy: true,
  })
  return outcomeOf(result, row, before)
}

async function findBefore(
  { store }: ConnectionsContext,
  { connectionId, mayChangeAccount }: Place,
  { account }: Obtained,
): Promise<ConnectionRow | null | ConnectFailure> {
  if (connectionId === null) return null
  const before = await findConnection(store.db, connectionId)
  if (!before || before.status === 'removed') return fail('connection_gone')
  return before.account === account || mayChangeAccount ? before : fail('account_changed')
}

type Change = { readonly row: ConnectionRow; readonly before: ConnectionRow | null }

function connectedRecord(
  { store }: ConnectionsContext,
  { row, before, aside }: Change & { readonly aside: Aside },
): Draft {
  return store.draft({
    kind: before === null ? 'connection.connected' : 'connection.reconnected',
    ...aside.record,
    ...{ connection: row.id, provider: row.provider, application: row.application_id },
    ...{ connection_label: row.label, owner: row.owner, sandbox: row.sandbox === 1 },
    ...{ generation: row.generation, granted_scopes: row.granted_scopes },
  })
}

type WaitingGrant = Awaited<ReturnType<typeof listWaitingGrants>>[number]

const boundRecord =
  ({ store }: ConnectionsContext, { id, provider }: ConnectionRow) =>
  (grant: WaitingGrant): Draft =>
    store.draft({
      ...{ kind: 'grant.bound', grant: grant.id, agent: grant.agent_id },
      ...{ provider, connection: id },
    })

function outcomeOf(
  result: WriteResult,
  row: ConnectionRow,
  before: ConnectionRow | null,
): Connected | ConnectFailure | 'again' {
  if (result.kind === 'done') {
    return { kind: 'connected', connection: connectionOf(row), isReconnected: before !== null }
  }
  return result.kind === 'unmet' && before === null ? fail('label_taken') : 'again'
}

function statementsOf(
  { store: { db } }: ConnectionsContext,
  row: ConnectionRow,
  before: ConnectionRow | null,
): Statement[] {
  const { workspace_id, id, version, ...change } = row
  if (before !== null) return [changeConnection(db, before, change)]
  const bind = bindWaitingGrants(db, { provider: row.provider, connectionId: id })
  return [insertConnection(db, { id, version, ...change }), bind]
}

async function rowOf(
  { vault, clock, random }: ConnectionsContext,
  { place, obtained, before }: Omit<Keeping, 'aside'> & { readonly before: ConnectionRow | null },
): Promise<ConnectionRow> {
  const { provider } = place
  const now = clock()
  const id = before?.id ?? newId('con', random)
  const isOther = before?.account !== obtained.account
  const kept = {
    ...{ hosts: provider.credentialHosts, secrets: obtained.secrets.reveal() },
    obtainedAt: obtained.obtainedAt,
  }
  return {
    ...{ workspace_id: workspace, id, provider: provider.name },
    ...{ application_id: place.applicationId, label: before?.label ?? place.label },
    ...{ owner: before ? before.owner : place.owner, status: 'connected', reason: null },
    generation: (before?.generation ?? 0) + (before === null || isOther ? 1 : 0),
    ...{ account: obtained.account, account_name: obtained.accountName },
    ...{ granted_scopes: obtained.grantedScopes, expires_at: obtained.expiresAt },
    sealed_credential: await sealSecrets(vault, id, kept),
    version: (before?.version ?? 0) + 1,
    sandbox: isSandboxed(provider) ? 1 : 0,
    ...{ created_at: before?.created_at ?? now, updated_at: now },
  }
}

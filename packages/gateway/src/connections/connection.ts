import type { Provider } from '../catalog/provider.ts'
import { type Refusal, refuse } from '../errors.ts'
import type { ConnectionRow, ConnectionStatus } from '../store/schema.ts'

/** An account linked at a provider, as people see it; never its credential. */
export type Connection = {
  readonly id: string
  readonly provider: string
  readonly applicationId: string | null
  readonly label: string
  readonly owner: string | null
  readonly status: ConnectionStatus
  readonly reason: string | null
  readonly generation: number
  readonly account: string | null
  readonly accountName: string | null
  readonly grantedScopes: readonly string[]
  /** Milliseconds since the Unix epoch, as are those below; null when it does not expire. */
  readonly expiresAt: number | null
  readonly sandbox: boolean
  readonly createdAt: number
  readonly updatedAt: number
}

export const connectionOf = (row: ConnectionRow): Connection => ({
  ...{ id: row.id, provider: row.provider, applicationId: row.application_id },
  ...{ label: row.label, owner: row.owner, status: row.status, reason: row.reason },
  ...{ generation: row.generation, account: row.account, accountName: row.account_name },
  grantedScopes: row.granted_scopes.split(' ').filter((scope) => scope !== ''),
  ...{ expiresAt: row.expires_at, sandbox: row.sandbox === 1 },
  ...{ createdAt: row.created_at, updatedAt: row.updated_at },
})

/** What every record about a connection says of it. */
export const connectionRecord = (row: ConnectionRow) => ({
  ...{ connection: row.id, provider: row.provider, application: row.application_id },
  ...{ generation: row.generation, sandbox: row.sandbox === 1 },
  ...{ connection_label: row.label, owner: row.owner },
})

export const isSandboxed = (provider: Provider): boolean => provider.sandbox !== null

/** A connection whose credential may be used at all, and its provider as it is reached now. */
export type Usable = { readonly row: ConnectionRow; readonly provider: Provider }

/**
 * Lets a connection through whose credential may go to the provider as it is reached now: one
 * made with a sandbox never meets the real host, nor the other way round. Else the reason.
 */
export function usable(
  row: ConnectionRow | undefined,
  providers: ReadonlyMap<string, Provider>,
): Usable | Refusal {
  if (!row || row.status === 'removed') {
    return refuse('not_connected', 'This connection was removed: an operator connects it again.')
  }
  const provider = providers.get(row.provider)
  if (!provider) return refuse('unknown_provider', `There is no provider ${row.provider} any more.`)
  const isSameWorld = (row.sandbox === 1) === isSandboxed(provider)
  if (row.status === 'connected' && isSameWorld) return { row, provider }
  const reason = isSameWorld ? (row.reason ?? 'its credential no longer works') : otherWorld(row)
  return refuse(
    'needs_reconnect',
    `Connection "${row.label}" of ${provider.title} must be made anew: ${reason}. An operator ` +
      `does that: okoro connections add ${row.provider} --label ${JSON.stringify(row.label)}`,
    { connection_id: row.id, reason },
  )
}

const otherWorld = ({ sandbox }: ConnectionRow): string =>
  sandbox === 1
    ? 'it was made with the sandbox and is never used with the real provider'
    : 'it was made with the real provider and is never used with a sandbox'

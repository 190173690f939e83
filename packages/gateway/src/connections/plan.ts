import type { Provider } from '../catalog/provider.ts'
import { isRefusal, type Refusal, refuse } from '../errors.ts'
import { findConnection, findConnectionByLabel } from '../store/connection.ts'
import type { ConnectionRow } from '../store/schema.ts'
import { isSandboxed } from './connection.ts'
import type { ConnectionsContext } from './context.ts'

/** Which connection an account is to become: a new one, or one that is made anew. */

export type ConnectionRequest = {
  readonly provider: string
  /** `default` when absent. */
  readonly label?: string | undefined
  readonly owner?: string | null | undefined
  /** A connection to make anew. Also understood from the label of one that needs it. */
  readonly connectionId?: string | undefined
  /** The connection made anew may become one to another account. */
  readonly confirmAccountChange?: boolean | undefined
}

export type ConnectionPlan = {
  readonly provider: Provider
  /** The one that is made anew; null for a new one. */
  readonly existing: ConnectionRow | null
  readonly label: string
  readonly owner: string | null
}

/** Refusals say what is missing or taken; a sandbox's connection stays a sandbox's. */
export async function planConnection(
  context: ConnectionsContext,
  request: ConnectionRequest,
): Promise<ConnectionPlan | Refusal> {
  const provider = context.catalog.providers.get(request.provider)
  if (!provider) return refuse('unknown_provider', `There is no provider ${request.provider}.`)
  const label = request.label ?? 'default'
  const isLabel = /^(?! |con_)[^\p{C}]{1,64}(?<! )$/u.test(label)
  if (!isLabel) return refuse('invalid_request', 'label: 1 to 64 printable characters, no id.')
  const existing = await findExisting(context, request, label)
  if (isRefusal(existing)) return existing
  if (existing && (existing.sandbox === 1) !== isSandboxed(provider)) return otherWorld(existing)
  const owner = existing ? existing.owner : (request.owner ?? null)
  return { provider, existing, label: existing?.label ?? label, owner }
}

async function findExisting(
  { store }: ConnectionsContext,
  { provider, connectionId }: ConnectionRequest,
  label: string,
): Promise<ConnectionRow | null | Refusal> {
  if (connectionId !== undefined) {
    const named = await findConnection(store.db, connectionId)
    if (named?.provider === provider && named.status !== 'removed') return named
    return refuse('not_found', `There is no connection ${connectionId} of ${provider}.`)
  }
  const labelled = await findConnectionByLabel(store.db, { provider, label })
  if (!labelled || labelled.status === 'needs_reconnect') return labelled ?? null
  return refuse(
    'conflict',
    `A connection of ${provider} is already called "${label}": choose another label, or name ` +
      `${labelled.id} to make that one anew.`,
    { connection_id: labelled.id },
  )
}

const otherWorld = ({ id, sandbox }: ConnectionRow): Refusal =>
  refuse(
    'conflict',
    sandbox === 1
      ? `Connection ${id} was made with the sandbox and stays there: add a new one.`
      : `Connection ${id} was made with the real provider, which OKORO_SANDBOX replaces now.`,
  )

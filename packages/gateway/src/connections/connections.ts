import { isRefusal, type Refusal, refuse } from '../errors.ts'
import {
  changeConnection,
  findConnection,
  listConnections as listRows,
} from '../store/connection.ts'
import { type Connection, connectionOf, connectionRecord } from './connection.ts'
import type { ConnectionsContext } from './context.ts'
import type { Credentials } from './credentials.ts'

export type ConnectionQuery = {
  readonly provider?: string | undefined
  /** The last connection of the page before. */
  readonly after?: Pick<Connection, 'createdAt' | 'id'> | undefined
  /** 100 when absent. */
  readonly limit?: number | undefined
}

/** Oldest first, without those that were removed. */
export async function listConnections(
  { store }: ConnectionsContext,
  { provider, after, limit = 100 }: ConnectionQuery = {},
): Promise<readonly Connection[]> {
  const last = after && { created_at: after.createdAt, id: after.id }
  const rows = await listRows(store.db, { provider, after: last, limit })
  return rows.map(connectionOf)
}

/** A removed one too: records name it for ever. */
export async function showConnection(
  { store }: ConnectionsContext,
  id: string,
): Promise<Connection | Refusal> {
  const row = await findConnection(store.db, id)
  return row ? connectionOf(row) : noConnection(id)
}

/**
 * Whether the credential opens, renews when it is due, and works, where the provider file names a
 * call that tells (`auth.probe`). Calls nothing else at the provider.
 */
export async function testConnection(
  context: ConnectionsContext,
  credentials: Pick<Credentials, 'take' | 'test'>,
  id: string,
): Promise<Connection | Refusal> {
  const known = await showConnection(context, id)
  if (isRefusal(known)) return known
  const taken = await credentials.take(id)
  const refusal = isRefusal(taken) ? taken : await credentials.test(id)
  return refusal ?? (await showConnection(context, id))
}

/**
 * Erases the credential here (`connection.removed`) and ends every token that reaches the
 * connection, on every node. What the account's owner allowed at the provider stays allowed there
 * until they end it: the vocabulary of provider files has no word yet for a way to revoke.
 */
export async function removeConnection(
  { store, clock }: ConnectionsContext,
  credentials: Pick<Credentials, 'forget'>,
  id: string,
): Promise<Connection | Refusal> {
  // A refresh may change the row between reading and writing: then look again.
  for (let left = 5; left > 0; left -= 1) {
    const row = await findConnection(store.db, id)
    if (!row || row.status === 'removed') return noConnection(id)
    const change = {
      ...{ status: 'removed' as const, reason: null, sealed_credential: null, expires_at: null },
      updated_at: clock(),
    }
    const { kind } = await store.write({
      statements: [changeConnection(store.db, row, change)],
      records: [store.draft({ kind: 'connection.removed', ...connectionRecord(row) })],
      bumpsPolicy: true,
    })
    credentials.forget(id)
    if (kind === 'done') return connectionOf({ ...row, ...change })
  }
  return refuse('conflict', 'The connection keeps changing: try again.')
}

const noConnection = (id: string): Refusal => refuse('not_found', `There is no connection ${id}.`)

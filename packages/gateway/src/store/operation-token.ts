import type { Kysely } from 'kysely'
import { workspace } from '../words.ts'
import type { AgentRow, OperationTokenRow, Schema } from './schema.ts'
import type { Statement } from './store.ts'

/** An issued operation token with the state of all that it came from. */
export type IssuedToken = Omit<OperationTokenRow, 'workspace_id'> & {
  readonly service_token_expires_at: number | null
  readonly service_token_revoked_at: number | null
  readonly agent_name: AgentRow['name']
  readonly agent_status: AgentRow['status']
}

export const findOperationToken = (
  db: Kysely<Schema>,
  jti: string,
): Promise<IssuedToken | undefined> =>
  db
    .selectFrom('operation_token as token')
    .innerJoin('service_token', (join) =>
      join
        .onRef('service_token.workspace_id', '=', 'token.workspace_id')
        .onRef('service_token.id', '=', 'token.service_token_id'),
    )
    .innerJoin('agent', (join) =>
      join
        .onRef('agent.workspace_id', '=', 'token.workspace_id')
        .onRef('agent.id', '=', 'token.agent_id'),
    )
    .where('token.workspace_id', '=', workspace)
    .where('token.jti', '=', jti)
    .select([
      'token.jti',
      'token.agent_id',
      'token.service_token_id',
      'token.expires_at',
      'token.revoked_at',
      'service_token.expires_at as service_token_expires_at',
      'service_token.revoked_at as service_token_revoked_at',
      'agent.name as agent_name',
      'agent.status as agent_status',
    ])
    .executeTakeFirst()

export function insertOperationToken(
  db: Kysely<Schema>,
  token: Omit<OperationTokenRow, 'workspace_id' | 'revoked_at'>,
): Statement {
  const row = { ...token, workspace_id: workspace, revoked_at: null }
  return { query: db.insertInto('operation_token').values(row).compile() }
}

/**
 * Touches nothing when the agent was issued no such token or it was revoked before. Write it with
 * `bumpsPolicy`.
 */
export function revokeOperationToken(
  db: Kysely<Schema>,
  {
    jti,
    agentId,
    nowMs,
  }: { readonly jti: string; readonly agentId: string; readonly nowMs: number },
): Statement {
  const query = db
    .updateTable('operation_token')
    .set({ revoked_at: nowMs })
    .where('workspace_id', '=', workspace)
    .where('jti', '=', jti)
    .where('agent_id', '=', agentId)
    .where('revoked_at', 'is', null)
    .compile()
  return { query, mustTouch: true }
}

/** Whether any token expired before `beforeMs`. */
export const hasExpiredTokens = async (db: Kysely<Schema>, beforeMs: number): Promise<boolean> =>
  (await expiredBefore(db, beforeMs, 1).executeTakeFirst()) !== undefined

/** The oldest of those that expired before `beforeMs`, `limit` at most. */
export function deleteExpiredTokens(
  db: Kysely<Schema>,
  { beforeMs, limit }: { readonly beforeMs: number; readonly limit: number },
): Statement {
  const query = db
    .deleteFrom('operation_token')
    .where('workspace_id', '=', workspace)
    .where('jti', 'in', expiredBefore(db, beforeMs, limit))
    .compile()
  return { query }
}

const expiredBefore = (db: Kysely<Schema>, beforeMs: number, limit: number) =>
  db
    .selectFrom('operation_token')
    .select('jti')
    .where('workspace_id', '=', workspace)
    .where('expires_at', '<', beforeMs)
    .orderBy('expires_at')
    .limit(limit)

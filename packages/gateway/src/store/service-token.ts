import type { Kysely } from 'kysely'
import { workspace } from '../words.ts'
import type { AgentRow, Schema, ServiceTokenRow } from './schema.ts'
import type { Statement } from './store.ts'

export type ServiceTokenOfAgent = Omit<ServiceTokenRow, 'hash'> & {
  readonly agent_name: AgentRow['name']
  readonly agent_status: AgentRow['status']
}

/** The service token of this hash (hex SHA-256) and its agent, whatever state they are in. */
export const findServiceToken = (
  db: Kysely<Schema>,
  hash: string,
): Promise<ServiceTokenOfAgent | undefined> =>
  withAgent(db).where('token.hash', '=', hash).executeTakeFirst()

export const findServiceTokenById = (
  db: Kysely<Schema>,
  id: string,
): Promise<ServiceTokenOfAgent | undefined> =>
  withAgent(db).where('token.id', '=', id).executeTakeFirst()

const withAgent = (db: Kysely<Schema>) =>
  db
    .selectFrom('service_token as token')
    .innerJoin('agent', (join) =>
      join
        .onRef('agent.workspace_id', '=', 'token.workspace_id')
        .onRef('agent.id', '=', 'token.agent_id'),
    )
    .where('token.workspace_id', '=', workspace)
    .select([
      'token.workspace_id',
      'token.id',
      'token.agent_id',
      'token.created_at',
      'token.expires_at',
      'token.revoked_at',
      'agent.name as agent_name',
      'agent.status as agent_status',
    ])

/** Newest first. */
export const listServiceTokens = (
  db: Kysely<Schema>,
  agentId: string,
): Promise<Omit<ServiceTokenRow, 'hash'>[]> =>
  db
    .selectFrom('service_token')
    .select(['workspace_id', 'id', 'agent_id', 'created_at', 'expires_at', 'revoked_at'])
    .where('workspace_id', '=', workspace)
    .where('agent_id', '=', agentId)
    .orderBy('created_at', 'desc')
    .orderBy('id')
    .execute()

export function insertServiceToken(
  db: Kysely<Schema>,
  token: Omit<ServiceTokenRow, 'workspace_id' | 'revoked_at'>,
): Statement {
  const row = { ...token, workspace_id: workspace, revoked_at: null }
  return { query: db.insertInto('service_token').values(row).compile() }
}

/**
 * Lets all of an agent's service tokens but one end at `expiresAt` at the latest: the grace period
 * of a rotation. Write it with `bumpsPolicy`.
 */
export function endOtherServiceTokens(
  db: Kysely<Schema>,
  { agentId, keptId, expiresAt }: { agentId: string; keptId: string; expiresAt: number },
): Statement {
  const query = db
    .updateTable('service_token')
    .set({ expires_at: expiresAt })
    .where('workspace_id', '=', workspace)
    .where('agent_id', '=', agentId)
    .where('id', '!=', keptId)
    .where('revoked_at', 'is', null)
    .where((column) =>
      column.or([column('expires_at', 'is', null), column('expires_at', '>', expiresAt)]),
    )
    .compile()
  return { query }
}

/** Touches nothing when it was revoked before. Write it with `bumpsPolicy`. */
export function revokeServiceToken(db: Kysely<Schema>, id: string, nowMs: number): Statement {
  const query = db
    .updateTable('service_token')
    .set({ revoked_at: nowMs })
    .where('workspace_id', '=', workspace)
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .compile()
  return { query, mustTouch: true }
}

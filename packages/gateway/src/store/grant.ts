import type { Kysely } from 'kysely'
import { type Grant, workspace } from '../words.ts'
import type { ConnectionStatus, GrantRow, Schema } from './schema.ts'
import type { Statement } from './store.ts'

/** What anyone who decides or records needs to know of a connection; never its credential. */
export type ConnectionView = {
  readonly id: string
  readonly provider: string
  readonly label: string
  readonly owner: string | null
  readonly status: ConnectionStatus
  readonly reason: string | null
  readonly generation: number
  readonly sandbox: boolean
  /** Null for a pasted key. */
  readonly applicationId: string | null
}

/** A grant, and one connection that it reaches; null while it reaches none. */
export type Reach = { readonly grant: Grant; readonly connection: ConnectionView | null }

/** Oldest first. */
export async function listGrants(db: Kysely<Schema>, agentId: string): Promise<readonly Grant[]> {
  const rows = await db
    .selectFrom('grant')
    .selectAll()
    .where('workspace_id', '=', workspace)
    .where('agent_id', '=', agentId)
    .orderBy('created_at')
    .orderBy('id')
    .execute()
  return rows.map(grantOf)
}

/**
 * An agent's grants for one provider, oldest first, each once for every connection that it reaches,
 * whatever its status: the one it is bound to, or all of its owner's.
 */
export async function listReach(
  db: Kysely<Schema>,
  { agentId, provider }: { readonly agentId: string; readonly provider: string },
): Promise<readonly Reach[]> {
  const rows = await db
    .selectFrom('grant')
    .leftJoin('connection', (join) =>
      join
        .onRef('connection.workspace_id', '=', 'grant.workspace_id')
        .onRef('connection.provider', '=', 'grant.provider')
        .on(({ and, eb, or, ref }) =>
          or([
            eb('connection.id', '=', ref('grant.connection_id')),
            and([
              eb('grant.connection_id', 'is', null),
              eb('connection.owner', '=', ref('grant.owner')),
            ]),
          ]),
        ),
    )
    .where('grant.workspace_id', '=', workspace)
    .where('grant.agent_id', '=', agentId)
    .where('grant.provider', '=', provider)
    .selectAll('grant')
    .select([
      'connection.id as reached_id',
      'connection.label',
      'connection.owner as reached_owner',
      'connection.status',
      'connection.reason',
      'connection.generation',
      'connection.sandbox',
      'connection.application_id',
    ])
    .orderBy('grant.created_at')
    .orderBy('grant.id')
    .orderBy('connection.label')
    .execute()
  return rows.map((row) => ({ grant: grantOf(row), connection: connectionOf(row) }))
}

export function insertGrant(db: Kysely<Schema>, grant: Grant, createdAt: number): Statement {
  const row: GrantRow = {
    workspace_id: workspace,
    id: grant.id,
    agent_id: grant.agentId,
    provider: grant.provider,
    scope: grant.scope,
    connection_id: grant.connectionId,
    owner: grant.owner,
    only_rules: grant.only && JSON.stringify(grant.only),
    except_rules: JSON.stringify(grant.except),
    constraints: JSON.stringify(grant.constraints),
    created_at: createdAt,
  }
  return { query: db.insertInto('grant').values(row).compile() }
}

/**
 * Binds the grants that were made while nothing was connected to the first connection that is.
 * Returns their ids and agents, for the records.
 */
export function bindWaitingGrants(
  db: Kysely<Schema>,
  { provider, connectionId }: { readonly provider: string; readonly connectionId: string },
): Statement {
  const query = db
    .updateTable('grant')
    .set({ connection_id: connectionId })
    .where('workspace_id', '=', workspace)
    .where('provider', '=', provider)
    .where('connection_id', 'is', null)
    .where('owner', 'is', null)
    .returning(['id', 'agent_id'])
    .compile()
  return { query }
}

/** Touches nothing when there is no such grant. Write it with `bumpsPolicy`. */
export function deleteGrant(db: Kysely<Schema>, id: string): Statement {
  const query = db
    .deleteFrom('grant')
    .where('workspace_id', '=', workspace)
    .where('id', '=', id)
    .compile()
  return { query, mustTouch: true }
}

function grantOf(row: GrantRow): Grant {
  return {
    id: row.id,
    agentId: row.agent_id,
    provider: row.provider,
    scope: row.scope,
    connectionId: row.connection_id,
    owner: row.owner,
    only: row.only_rules === null ? null : JSON.parse(row.only_rules),
    except: JSON.parse(row.except_rules),
    constraints: JSON.parse(row.constraints),
  }
}

type ReachedRow = {
  readonly provider: string
  readonly reached_id: string | null
  readonly label: string | null
  readonly reached_owner: string | null
  readonly status: ConnectionStatus | null
  readonly reason: string | null
  readonly generation: number | null
  readonly sandbox: number | null
  readonly application_id: string | null
}

function connectionOf(row: ReachedRow): ConnectionView | null {
  const { provider, reached_id: id, label, status, reason, generation } = row
  if (id === null || label === null || status === null || generation === null) return null
  return {
    ...{ id, provider, label, owner: row.reached_owner, status, reason, generation },
    ...{ sandbox: row.sandbox === 1, applicationId: row.application_id },
  }
}

import { z } from 'zod'
import { refuse } from '../errors.ts'
import type { Secret } from '../secret.ts'
import type { AgentRow, ServiceTokenRow } from '../store/schema.ts'
import { endOtherServiceTokens, insertServiceToken } from '../store/service-token.ts'
import { createServiceToken } from '../tokens/service-token.ts'
import { showOnce } from '../vault/show-once.ts'
import { timeOf } from './answer.ts'
import { type AdminDeps, newId } from './deps.ts'
import type { Plan } from './plan.ts'

/** Seconds: a minute to ten years. */
export const lifetimeInput = z.int().min(60).max(315_360_000)

export const rotationInput = z.strictObject({
  /** How long the tokens from before stay valid. */
  grace_seconds: z
    .int()
    .min(0)
    .max(30 * 86_400)
    .default(86_400),
  expires_in_seconds: lifetimeInput.optional(),
})

export type NewServiceToken = {
  readonly token: Secret<string>
  readonly row: Omit<ServiceTokenRow, 'workspace_id' | 'revoked_at'>
}

export function newServiceToken(
  { random, clock }: AdminDeps,
  agentId: string,
  lifetimeSeconds: number | undefined,
): NewServiceToken {
  const { token, hash } = createServiceToken(random)
  const nowMs = clock()
  const expiresAt = lifetimeSeconds === undefined ? null : nowMs + lifetimeSeconds * 1000
  const id = newId('stk', random)
  return { token, row: { id, agent_id: agentId, hash, created_at: nowMs, expires_at: expiresAt } }
}

/** What may be told of a service token: neither itself nor its hash. */
export function tokenView(
  token: Pick<ServiceTokenRow, 'id' | 'created_at' | 'expires_at'> &
    Partial<Pick<ServiceTokenRow, 'revoked_at'>>,
  nowMs: number,
) {
  const { id, created_at, expires_at, revoked_at = null } = token
  const isOver = expires_at !== null && expires_at <= nowMs
  const status = revoked_at !== null ? 'revoked' : isOver ? 'expired' : 'active'
  return {
    ...{ id, status, created_at: timeOf(created_at) },
    ...{ expires_at: timeOf(expires_at), revoked_at: timeOf(revoked_at) },
  }
}

export type ServiceTokenView = ReturnType<typeof tokenView>

/** A new service token; those from before end when the grace period does. */
export function planRotation(
  deps: AdminDeps,
  agent: AgentRow,
  input: z.output<typeof rotationInput>,
): Plan<object> {
  const { store, clock } = deps
  const { token, row } = newServiceToken(deps, agent.id, input.expires_in_seconds)
  const oldExpireAt = clock() + input.grace_seconds * 1000
  const record = store.draft({
    ...{ kind: 'agent.token_rotated', agent: agent.id, agent_name: agent.name },
    ...{ service_token: row.id, expires_at: timeOf(row.expires_at) },
    old_expire_at: timeOf(oldExpireAt),
  })
  const end = { agentId: agent.id, keptId: row.id, expiresAt: oldExpireAt }
  return {
    write: {
      statements: [insertServiceToken(store.db, row), endOtherServiceTokens(store.db, end)],
      records: [record],
      bumpsPolicy: true,
    },
    answer: {
      ...{ agent: agent.name, service_token: showOnce(token) },
      ...{ ...tokenView(row, clock()), old_expire_at: timeOf(oldExpireAt) },
    },
    unmet: refuse('conflict', 'The service tokens were changed at the same time; try again.'),
  }
}

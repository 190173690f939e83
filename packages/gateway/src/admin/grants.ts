import { z } from 'zod'
import type { Draft } from '../audit/record.ts'
import type { Provider } from '../catalog/provider.ts'
import { isRefusal, type Refusal, refuse } from '../errors.ts'
import { findConnection, listConnections } from '../store/connection.ts'
import { deleteGrant, insertGrant, listGrants } from '../store/grant.ts'
import type { AgentRow, ConnectionRow } from '../store/schema.ts'
import type { Statement } from '../store/store.ts'
import { type Grant, scopeCovers, scopes } from '../words.ts'
import { type AdminDeps, newId } from './deps.ts'
import type { Plan } from './plan.ts'

const ruleIds = z.array(z.string()).min(1).max(200)

/** Strict: a misspelt `except` that is ignored would give away more than was meant. */
export const grantInput = z.strictObject({
  provider: z.string(),
  scope: z.enum(scopes, `must be one of ${scopes.join(', ')}`),
  /** Id or label. */
  connection: z.string().min(1).optional(),
  owner: z.string().min(1).max(200).optional(),
  only: ruleIds.optional(),
  except: ruleIds.optional(),
  constraints: z.record(z.string(), z.string()).optional(),
})

export type GrantInput = z.output<typeof grantInput>

/** A grant with the label of its connection, as this API shows it. */
export function grantView(grant: Grant, labels: ReadonlyMap<string, string>) {
  const { id, provider, scope, connectionId, owner, only, except, constraints } = grant
  const label = connectionId === null ? null : (labels.get(connectionId) ?? null)
  return {
    ...{ id, provider, scope, connection: label, connection_id: connectionId, owner },
    ...{ only, except, constraints },
  }
}

/** The grant that an operator asks for, every name in it looked up; or what is wrong with it. */
export async function resolveGrant(
  deps: AdminDeps,
  agentId: string,
  input: GrantInput,
): Promise<Grant | Refusal> {
  const provider = deps.catalog.providers.get(input.provider)
  if (!provider) return unknownProvider(deps, input.provider)
  const mistake = mistakeIn(input, provider)
  if (mistake !== null) return refuse('invalid_request', mistake)
  const connection = await connectionFor(deps, input)
  if (isRefusal(connection)) return connection
  return {
    ...{ id: newId('gra', deps.random), agentId, provider: provider.name, scope: input.scope },
    ...{ connectionId: connection?.id ?? null, owner: input.owner ?? null },
    ...{ only: input.only ?? null, except: input.except ?? [] },
    constraints: input.constraints ?? {},
  }
}

/** Gives an agent a grant, in the place of the one that it has for the same connection. */
export async function planGrant(
  deps: AdminDeps,
  agent: AgentRow,
  input: GrantInput,
): Promise<Plan<Grant> | Refusal> {
  const grant = await resolveGrant(deps, agent.id, input)
  if (isRefusal(grant)) return grant
  const held = (await listGrants(deps.store.db, agent.id)).find((one) => isSamePlace(one, grant))
  const replacing = held ? [deleteGrant(deps.store.db, held.id)] : []
  const record = held
    ? deps.store.draft({ kind: 'grant.replaced', replaces: held.id, ...recordOf(agent, grant) })
    : grantCreated(deps, agent, grant)
  return {
    write: {
      statements: [...replacing, insertGrant(deps.store.db, grant, deps.clock())],
      records: [record],
      bumpsPolicy: true,
    },
    answer: grant,
    unmet: refuse('conflict', 'The grant was changed at the same time; look again.'),
  }
}

/** Takes a grant away; what is under way with it is refused from then on (P8). */
export async function planUngrant(
  { store }: AdminDeps,
  agent: AgentRow,
  grantId: string,
): Promise<Plan<Grant> | Refusal> {
  const missing = refuse('not_found', `${agent.name} has no grant ${grantId}.`)
  const grant = (await listGrants(store.db, agent.id)).find(({ id }) => id === grantId)
  if (!grant) return missing
  const records = [store.draft({ kind: 'grant.removed', ...recordOf(agent, grant) })]
  const statements = [deleteGrant(store.db, grant.id)]
  return { write: { statements, records, bumpsPolicy: true }, answer: grant, unmet: missing }
}

/** The grants of an agent that is being created, as parts of its write. */
export function grantParts(
  deps: AdminDeps,
  agent: Pick<AgentRow, 'id' | 'name'>,
  grants: readonly Grant[],
): { readonly statements: readonly Statement[]; readonly records: readonly Draft[] } {
  return {
    statements: grants.map((grant) => insertGrant(deps.store.db, grant, deps.clock())),
    records: grants.map((grant) => grantCreated(deps, agent, grant)),
  }
}

/** Ids of connections → their labels. */
export async function labelsOf(
  { store }: AdminDeps,
  grants: readonly Grant[],
): Promise<ReadonlyMap<string, string>> {
  const ids = new Set(grants.flatMap(({ connectionId }) => connectionId ?? []))
  const rows = await Promise.all([...ids].map((id) => findConnection(store.db, id)))
  return new Map(rows.flatMap((row) => (row ? [[row.id, row.label]] : [])))
}

const grantCreated = (deps: AdminDeps, agent: Pick<AgentRow, 'id' | 'name'>, grant: Grant) =>
  deps.store.draft({ kind: 'grant.created', ...recordOf(agent, grant) })

const recordOf = (agent: Pick<AgentRow, 'id' | 'name'>, grant: Grant) => ({
  ...{ agent: agent.id, agent_name: agent.name, grant: grant.id, provider: grant.provider },
  ...{ scope: grant.scope, connection: grant.connectionId, owner: grant.owner },
  ...{ only: grant.only, except: grant.except, constraints: grant.constraints },
})

/** Whether both are about the same connection of the same provider: an agent has one of these. */
export const isSamePlace = (a: Grant, b: Grant): boolean =>
  a.provider === b.provider && a.connectionId === b.connectionId && a.owner === b.owner

function mistakeIn(input: GrantInput, provider: Provider): string | null {
  const { name, rules } = provider
  if (input.connection !== undefined && input.owner !== undefined) {
    return 'connection, owner: a grant names either a connection or whose it is.'
  }
  const known = new Set(rules.map(({ id }) => id))
  const unknown = [...(input.only ?? []), ...(input.except ?? [])].find((id) => !known.has(id))
  if (unknown !== undefined) {
    return `${name} has no rule "${unknown}"; \`okoro providers show ${name}\` lists them.`
  }
  const captures = new Set(rules.flatMap((rule) => rule.captures))
  const foreign = Object.keys(input.constraints ?? {}).find((key) => !captures.has(key))
  if (foreign === undefined) return closedRule(input, provider)
  const some = captures.size === 0 ? 'none' : [...captures].join(', ')
  return `constraints: no rule of ${name} captures "${foreign}" (it has ${some}).`
}

/** Who names a rule means it to be allowed: one that never can be is a mistake. */
function closedRule(
  { scope, only = [], except = [] }: GrantInput,
  { rules }: Provider,
): string | null {
  const twice = only.find((id) => except.includes(id))
  if (twice !== undefined) return `only, except: both name ${twice}.`
  const above = rules.find(({ id, level }) => only.includes(id) && !scopeCovers(scope, level))
  if (above === undefined) return null
  return `only: ${above.id} needs the scope ${above.level}, and this grant ends at ${scope}.`
}

/**
 * The connection that a grant is bound to: the one that is named; the only one; or none yet
 * (CONTRACT.md, "Which connection").
 */
async function connectionFor(
  { store }: AdminDeps,
  { provider, connection: named, owner }: GrantInput,
): Promise<ConnectionRow | null | Refusal> {
  if (owner !== undefined) return null
  const all = await listConnections(store.db, { provider, limit: 1000 })
  if (named !== undefined) {
    const found = all.find(({ id }) => id === named) ?? all.find(({ label }) => label === named)
    const message = `${provider} has no connection "${named}"; \`okoro connections list\` shows all.`
    return found ?? refuse('not_found', message)
  }
  const [only, ...more] = all
  if (more.length === 0) return only ?? null
  const labels = all.map(({ label }) => label)
  return refuse(
    'connection_required',
    `${provider} has ${all.length} connections: name one, as in ${provider}:read@${labels[0]}.`,
    { connections: labels },
  )
}

function unknownProvider({ catalog }: AdminDeps, name: string): Refusal {
  const known = [...catalog.providers.keys()].join(', ') || 'none'
  return refuse('unknown_provider', `There is no provider "${name}"; the catalogue has ${known}.`)
}

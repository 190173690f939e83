import { isRefusal, type Refusal, refuse } from '../errors.ts'
import { listReach } from '../store/grant.ts'
import { insertOperationToken } from '../store/operation-token.ts'
import type { Store } from '../store/store.ts'
import { type Clock, type Operation, type Random, type Scope, scopeCovers } from '../words.ts'
import { type Caller, serviceTokenExpired } from './authenticate.ts'
import { type Chosen, chooseConnection } from './choose-connection.ts'
import { signOperation } from './jwt.ts'
import { randomBase62 } from './service-token.ts'
import type { SigningKeys } from './signing-keys.ts'
import type { TokenRequest } from './token-request.ts'

/** What issuing needs to know of the catalogue. */
export type Catalog = {
  readonly providers: ReadonlyMap<
    string,
    { readonly rules: readonly CatalogRule[]; readonly sandbox: string | null }
  >
}

type CatalogRule = { readonly id: string; readonly level: Scope }

export type IssueParts = {
  readonly store: Store
  readonly keys: SigningKeys
  readonly catalog: Catalog
  readonly publicUrl: string
  readonly clock: Clock
  readonly random: Random
}

/** An issued token: what it says, and for which connection. */
export type Issued = {
  readonly kind: 'issued'
  readonly token: string
  readonly operation: Operation
  readonly issuedAt: number
  readonly connectionLabel: string
}

export type IssueRequest = {
  readonly caller: Caller
  readonly asked: TokenRequest
  /** Read before the caller was: the token is issued only if it still holds. */
  readonly policyEpoch: number
  readonly requestId: string
}

/**
 * Issues an operation token: its row and the record `token.issued` are durable in one write before
 * this resolves. `stale` when the policy changed meanwhile and everything is to be read again.
 */
export async function issue(
  parts: IssueParts,
  request: IssueRequest,
): Promise<Issued | Refusal | 'stale'> {
  const { store, keys, publicUrl, clock, random } = parts
  const chosen = await choose(parts, request)
  if (isRefusal(chosen)) return chosen
  const issuedAt = Math.floor(clock() / 1_000)
  const operation = stateOperation(request, chosen, { issuedAt, jti: randomBase62(random, 22) })
  if (operation.expiresAt <= issuedAt) return serviceTokenExpired()
  const key = await keys.current()
  const token = await signOperation(operation, { key, publicUrl, issuedAt })
  const written = await store.write({
    statements: [insertOperationToken(store.db, rowOf(operation))],
    records: [store.draft(recordOf(request, operation, chosen))],
    ifPolicyEpoch: request.policyEpoch,
  })
  if (written.kind !== 'done') return 'stale'
  return { kind: 'issued', token, operation, issuedAt, connectionLabel: chosen.connection.label }
}

async function choose(
  { store, catalog, publicUrl }: IssueParts,
  { caller, asked }: IssueRequest,
): Promise<Chosen | Refusal> {
  const provider = catalog.providers.get(asked.provider)
  if (provider === undefined) return unknownProvider(asked.provider)
  const unknown = asked.actions?.find((id) => !provider.rules.some((rule) => rule.id === id))
  if (unknown !== undefined) return unknownAction(unknown, asked.provider)
  const reach = await listReach(store.db, { agentId: caller.agentId, provider: asked.provider })
  const chosen = chooseConnection(reach, {
    ...asked,
    sandbox: provider.sandbox !== null,
    page: `${publicUrl}/providers/${asked.provider}`,
  })
  if (isRefusal(chosen)) return chosen
  return refuseClosedAction(asked, provider.rules, chosen) ?? chosen
}

/** Who names an action means to do it: a token that never could is refused now, not at the call. */
function refuseClosedAction(
  { scope, actions = [], ...asked }: TokenRequest,
  rules: readonly CatalogRule[],
  { grant: { scope: granted, only, except } }: Chosen,
): Refusal | null {
  const shut = actions.find((id) => except.includes(id) || (only !== null && !only.includes(id)))
  if (shut !== undefined) {
    const message = `\`actions\`: your grant leaves out ${shut}. No token changes that: ask the operator.`
    return refuse('outside_grant', message, { rule: shut })
  }
  const above = rules.find(({ id, level }) => actions.includes(id) && !scopeCovers(scope, level))
  if (above === undefined) return null
  const { id: rule, level } = above
  const mayAsk = scopeCovers(granted, level)
  const advice = mayAsk
    ? 'Ask for a token with that: token_request is the body to send.'
    : `Your grant ends at ${granted}, and only the operator can widen it.`
  const message = `\`actions\`: ${rule} needs the scope ${level}, and you ask for ${scope}. ${advice}`
  const { provider, intent } = asked
  return refuse('insufficient_scope', message, {
    ...{ required_scope: level, granted_scope: scope, rule },
    ...(mayAsk && { token_request: { provider, scope: level, intent, actions } }),
  })
}

function stateOperation(
  { caller, asked }: IssueRequest,
  { connection }: Chosen,
  { issuedAt, jti }: { readonly issuedAt: number; readonly jti: string },
): Operation {
  const lastSecond = caller.expiresAt === null ? Infinity : Math.floor(caller.expiresAt / 1_000)
  return {
    agentId: caller.agentId,
    serviceTokenId: caller.serviceTokenId,
    provider: asked.provider,
    connectionId: connection.id,
    generation: connection.generation,
    scope: asked.scope,
    intent: asked.intent,
    actions: asked.actions ?? null,
    jti,
    expiresAt: Math.min(issuedAt + asked.ttl, lastSecond),
  }
}

const rowOf = ({ jti, agentId, serviceTokenId, expiresAt }: Operation) => ({
  jti,
  agent_id: agentId,
  service_token_id: serviceTokenId,
  expires_at: expiresAt * 1_000,
})

function recordOf(
  { caller, requestId }: IssueRequest,
  operation: Operation,
  { grant, connection }: Chosen,
) {
  return {
    kind: 'token.issued',
    request_id: requestId,
    agent: operation.agentId,
    service_token: operation.serviceTokenId,
    provider: operation.provider,
    connection: operation.connectionId,
    grant: grant.id,
    scope: operation.scope,
    actions: operation.actions,
    jti: operation.jti,
    expires_at: new Date(operation.expiresAt * 1_000).toISOString(),
    sandbox: connection.sandbox,
    intent: operation.intent,
    agent_name: caller.agentName,
    connection_label: connection.label,
    owner: connection.owner,
  }
}

function unknownProvider(name: string): Refusal {
  // Whatever was sent is only repeated when it could be a name.
  const shown = /^[a-z0-9-]{1,64}$/.test(name) ? `called ${name}` : 'of that name'
  return refuse('unknown_provider', `The catalogue has no provider ${shown}.`)
}

function unknownAction(id: string, provider: string): Refusal {
  const shown = /^[a-z0-9._-]{1,64}$/.test(id) ? id : 'one of them'
  return refuse('invalid_request', `\`actions\`: ${shown} is no rule of ${provider}.`)
}

import { Hono } from 'hono'
import { z } from 'zod'
import { isRefusal, type Refusal, refuse } from '../errors.ts'
import { findAgent, insertAgent, listAgents } from '../store/agent.ts'
import { listGrants } from '../store/grant.ts'
import type { AgentRow } from '../store/schema.ts'
import { insertServiceToken, listServiceTokens } from '../store/service-token.ts'
import { showOnce } from '../vault/show-once.ts'
import type { Grant } from '../words.ts'
import {
  isRevoked,
  leaseInput,
  leaseView,
  newLease,
  planLeaseEnd,
  planRenewal,
  planRevocation,
} from './agent-life.ts'
import { type AdminEnv, answer, nameInput, readBody, readQuery, timeOf } from './answer.ts'
import { type AdminDeps, newId } from './deps.ts'
import {
  grantInput,
  grantParts,
  grantView,
  isSamePlace,
  labelsOf,
  planGrant,
  planUngrant,
  resolveGrant,
} from './grants.ts'
import { pageOf, pageQuery } from './page.ts'
import { carryOut, type Plan } from './plan.ts'
import {
  lifetimeInput,
  newServiceToken,
  planRotation,
  rotationInput,
  type ServiceTokenView,
  tokenView,
} from './service-tokens.ts'

const newAgent = z.strictObject({
  name: nameInput,
  grants: z.array(grantInput).max(100).default([]),
  expires_in_seconds: lifetimeInput.optional(),
  /** It ends by itself unless `PUT …/lease` comes within as many seconds, again and again. */
  lease_seconds: leaseInput.optional(),
})

const agentsQuery = pageQuery.extend({ status: z.enum(['active', 'revoked']).optional() })

/** `/agents`: principals, their service tokens and grants. */
export function agentRoutes(deps: AdminDeps): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>()
  const { store } = deps

  app.get('/', async (c) => {
    const query = readQuery(c, agentsQuery)
    if (isRefusal(query)) return answer(c, query)
    const page = pageOf(await listAgents(store.db, query), query)
    if (isRefusal(page)) return answer(c, page)
    const items = await Promise.all(page.items.map((agent) => agentView(deps, agent)))
    return answer(c, { ...page, items })
  })

  app.post('/', async (c) => {
    const input = await readBody(c, newAgent)
    if (isRefusal(input)) return answer(c, input)
    return answer(c, await carryOut(store, () => planAgent(deps, input)), 201)
  })

  app.get('/:agent', async (c) => {
    const agent = await namedAgent(deps, c.req.param('agent'))
    return answer(c, isRefusal(agent) ? agent : await agentView(deps, agent))
  })

  app.post('/:agent/grants', async (c) => {
    const input = await readBody(c, grantInput)
    if (isRefusal(input)) return answer(c, input)
    const plan = (agent: AgentRow) => planGrant(deps, agent, input)
    return answer(c, await changeGrant(deps, c.req.param('agent'), plan), 201)
  })

  app.delete('/:agent/grants/:grant', async (c) => {
    const plan = (agent: AgentRow) => planUngrant(deps, agent, c.req.param('grant'))
    return answer(c, await changeGrant(deps, c.req.param('agent'), plan))
  })

  app.post('/:agent/service-tokens', async (c) => {
    const input = await readBody(c, rotationInput)
    if (isRefusal(input)) return answer(c, input)
    const name = c.req.param('agent')
    return answer(
      c,
      await changeAgent(deps, name, async (agent) => planRotation(deps, agent, input)),
      201,
    )
  })

  app.post('/:agent/revoke', async (c) => {
    const plan = async (agent: AgentRow) => planRevocation(deps, agent)
    return answer(c, await changeAgent(deps, c.req.param('agent'), plan))
  })

  app.put('/:agent/lease', async (c) => {
    const plan = async (agent: AgentRow) => planRenewal(deps, agent)
    return answer(c, await changeAgent(deps, c.req.param('agent'), plan))
  })

  app.delete('/:agent/lease', async (c) => {
    const plan = async (agent: AgentRow) => planLeaseEnd(deps, agent)
    return answer(c, await changeAgent(deps, c.req.param('agent'), plan))
  })

  return app
}

async function agentView(deps: AdminDeps, agent: AgentRow) {
  const [grants, tokens] = await Promise.all([
    listGrants(deps.store.db, agent.id),
    listServiceTokens(deps.store.db, agent.id),
  ])
  return viewOf(agent, {
    grants: await grantViews(deps, grants),
    tokens: tokens.map((token) => tokenView(token, deps.clock())),
  })
}

async function grantViews(deps: AdminDeps, grants: readonly Grant[]) {
  const labels = await labelsOf(deps, grants)
  return grants.map((grant) => grantView(grant, labels))
}

type Parts = {
  readonly grants: readonly ReturnType<typeof grantView>[]
  readonly tokens: readonly ServiceTokenView[]
}

const viewOf = (agent: Omit<AgentRow, 'workspace_id'>, { grants, tokens }: Parts) => ({
  ...{ id: agent.id, name: agent.name, status: agent.status },
  ...{ created_at: timeOf(agent.created_at), revoked_at: timeOf(agent.revoked_at) },
  ...{ ...leaseView(agent), grants, service_tokens: tokens },
})

/** A new agent with its first service token, which is in the answer and nowhere else. */
async function planAgent(
  deps: AdminDeps,
  input: z.output<typeof newAgent>,
): Promise<Plan<object> | Refusal> {
  const { store, random, clock } = deps
  const nowMs = clock()
  const lease = newLease(input.lease_seconds, nowMs)
  const agent = { id: newId('agt', random), name: input.name, created_at: nowMs, ...lease }
  const grants: Grant[] = []
  for (const asked of input.grants) {
    const grant = await resolveGrant(deps, agent.id, asked)
    if (isRefusal(grant)) return grant
    if (grants.some((other) => isSamePlace(other, grant))) {
      return refuse('invalid_request', `grants: ${grant.provider} is granted twice.`)
    }
    grants.push(grant)
  }
  const { token, row } = newServiceToken(deps, agent.id, input.expires_in_seconds)
  const created = store.draft({
    ...{ kind: 'agent.created', agent: agent.id, agent_name: agent.name },
    ...{ service_token: row.id, expires_at: timeOf(row.expires_at) },
    lease_seconds: lease.lease_seconds,
  })
  const parts = grantParts(deps, agent, grants)
  const view = viewOf(
    { ...agent, status: 'active', revoked_at: null },
    { grants: await grantViews(deps, grants), tokens: [tokenView(row, nowMs)] },
  )
  return {
    write: {
      statements: [
        insertAgent(store.db, agent),
        insertServiceToken(store.db, row),
        ...parts.statements,
      ],
      records: [created, ...parts.records],
      bumpsPolicy: true,
    },
    answer: { ...view, service_token: showOnce(token) },
    unmet: refuse('conflict', `There is an agent "${agent.name}" already; take another name.`),
  }
}

async function namedAgent({ store }: AdminDeps, name: string): Promise<AgentRow | Refusal> {
  const agent = await findAgent(store.db, name)
  const message = `There is no agent "${name}"; \`okoro agents list\` shows all.`
  return agent ?? refuse('not_found', message)
}

/** Carries out a change of an agent that exists and was not revoked. */
function changeAgent<T>(
  deps: AdminDeps,
  name: string,
  plan: (agent: AgentRow) => Promise<Plan<T> | Refusal>,
): Promise<T | Refusal> {
  return carryOut(deps.store, async () => {
    const agent = await namedAgent(deps, name)
    if (isRefusal(agent)) return agent
    return agent.status === 'revoked' ? isRevoked(agent.name) : plan(agent)
  })
}

async function changeGrant(
  deps: AdminDeps,
  name: string,
  plan: (agent: AgentRow) => Promise<Plan<Grant> | Refusal>,
): Promise<object | Refusal> {
  const grant = await changeAgent(deps, name, plan)
  return isRefusal(grant) ? grant : grantView(grant, await labelsOf(deps, [grant]))
}

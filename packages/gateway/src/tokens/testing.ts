import { randomBytes } from 'node:crypto'
import { Hono } from 'hono'
import { createCoalescer } from '../audit/coalesce.ts'
import { problem, refusalOf } from '../errors.ts'
import { Secret } from '../secret.ts'
import { insertAgent } from '../store/agent.ts'
import { insertGrant } from '../store/grant.ts'
import type { ConnectionRow } from '../store/schema.ts'
import { insertServiceToken } from '../store/service-token.ts'
import type { Statement, Store } from '../store/store.ts'
import { findRootKey, openVault } from '../vault/keys.ts'
import { type Clock, type Grant, workspace } from '../words.ts'
import { type Env, exchangeRoutes } from './exchange.ts'
import type { Catalog } from './issue.ts'
import { createVerifier } from './operation-token.ts'
import { createServiceToken } from './service-token.ts'
import { openSigningKeys } from './signing-keys.ts'

/** For tests: this room as the app wires it, over a real store, with an agent who may read Withings. */

export const publicUrl = 'http://gateway.test'
export const rootKeyText = new Secret(randomBytes(32).toString('base64'))

const catalog: Catalog = {
  providers: new Map([
    [
      'withings',
      {
        rules: [
          { id: 'measure.getmeas', level: 'read' },
          { id: 'user.unlink', level: 'delete' },
        ],
        sandbox: null,
      },
    ],
    ['trello', { rules: [], sandbox: null }],
  ]),
}

export type Gateway = Awaited<ReturnType<typeof openGateway>>

export async function openGateway(store: Store, clock: Clock = Date.now) {
  const source = { kind: 'given', text: rootKeyText } as const
  const rootKey = await findRootKey(source, { store, random: randomBytes })
  const vault = await openVault({ store, rootKey, clock, random: randomBytes })
  const keys = await openSigningKeys({ store, vault, clock })
  const verifier = createVerifier({ store, keys, publicUrl, clock })
  const coalescer = createCoalescer({ store, clock })
  const log = { info: () => {} }
  const app = new Hono<Env>()
  app.use(async (context, next) => {
    context.set('requestId', 'req_1')
    await next()
  })
  app.onError((error, context) => {
    const requestId = context.get('requestId')
    const { status, headers, body } = problem(refusalOf(error), { publicUrl, requestId })
    return new Response(body, { status, headers })
  })
  const parts = { store, keys, catalog, publicUrl, clock, random: randomBytes }
  app.route('/', exchangeRoutes({ ...parts, verifier, coalescer, log }))
  return { store, vault, keys, verifier, coalescer, app, clock }
}

export async function write(store: Store, statements: readonly Statement[], bumpsPolicy = false) {
  const records = [store.draft({ kind: 'config.test' })]
  const { kind } = await store.write({ statements, records, bumpsPolicy })
  if (kind !== 'done') throw new Error(kind)
}

/** An agent with one service token; returns that. */
export async function addAgent(
  store: Store,
  id: string,
  expiresAt: number | null = null,
): Promise<string> {
  const { token, hash } = createServiceToken(randomBytes)
  const serviceToken = { id: `stk_${id}`, agent_id: id, hash, created_at: 0, expires_at: expiresAt }
  await write(store, [
    insertAgent(store.db, { id, name: `name of ${id}`, created_at: 0 }),
    insertServiceToken(store.db, serviceToken),
  ])
  return token.reveal()
}

export async function addConnection(store: Store, given: Partial<ConnectionRow> & { id: string }) {
  const row: ConnectionRow = {
    ...{ workspace_id: workspace, provider: 'withings', application_id: null, label: given.id },
    ...{ owner: null, status: 'connected', reason: null, generation: 1, account: '7' },
    account_name: null,
    ...{ granted_scopes: '', sealed_credential: null, version: 1, expires_at: null, sandbox: 0 },
    ...{ created_at: 0, updated_at: 0, ...given },
  }
  await write(store, [{ query: store.db.insertInto('connection').values(row).compile() }])
}

export async function changeConnection(store: Store, id: string, change: Partial<ConnectionRow>) {
  const query = store.db.updateTable('connection').set(change).where('id', '=', id).compile()
  await write(store, [{ query, mustTouch: true }], true)
}

export async function addGrant(store: Store, given: Partial<Grant> & { id: string }, at = 0) {
  const grant: Grant = {
    ...{ agentId: 'agt_1', provider: 'withings', scope: 'read', connectionId: null, owner: null },
    ...{ only: null, except: [], constraints: {}, ...given },
  }
  await write(store, [insertGrant(store.db, grant, at)], true)
}

/** A gateway with an agent `agt_1` who may read Withings through the connection `con_1`. */
export async function openWithings(store: Store, clock: Clock = Date.now) {
  const gateway = await openGateway(store, clock)
  await addConnection(store, { id: 'con_1', label: 'default' })
  const serviceToken = await addAgent(store, 'agt_1')
  await addGrant(store, { id: 'grt_1', connectionId: 'con_1' })
  return { ...gateway, serviceToken }
}

export const ask = { provider: 'withings', scope: 'read', intent: "check this week's weight trend" }

export function postTokens(gateway: Gateway, serviceToken: string, body: unknown = ask) {
  return gateway.app.request('/t/tokens', {
    method: 'POST',
    headers: { authorization: `Bearer ${serviceToken}`, 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
}

/** An operation token, as the exchange gives it. */
export async function getToken(gateway: Gateway, serviceToken: string, body: object = ask) {
  const response = await postTokens(gateway, serviceToken, body)
  const answer = (await response.json()) as { readonly token?: string; readonly message?: string }
  if (answer.token === undefined) throw new Error(answer.message ?? 'no token')
  return answer.token
}

/** The records of one kind, oldest first, with what they disclose. */
export async function recordsOf(store: Store, kind: string) {
  const rows = await store.db
    .selectFrom('record')
    .leftJoin('disclosure', (join) =>
      join
        .onRef('disclosure.node', '=', 'record.node')
        .onRef('disclosure.boot', '=', 'record.boot')
        .onRef('disclosure.n', '=', 'record.n'),
    )
    .where('record.kind', '=', kind)
    .select(['record.body', 'disclosure.fields'])
    .orderBy('record.time')
    .orderBy('record.n')
    .execute()
  return rows.map(({ body, fields }) => ({
    ...JSON.parse(body),
    disclosed: fields === null ? {} : JSON.parse(fields),
  }))
}

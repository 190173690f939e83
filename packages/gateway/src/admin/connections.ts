import { Hono } from 'hono'
import { z } from 'zod'
import type { Connection } from '../connections/connection.ts'
import {
  listConnections,
  removeConnection,
  showConnection,
  testConnection,
} from '../connections/connections.ts'
import { connectPasted } from '../connections/paste.ts'
import { isRefusal, type Refusal, refuse } from '../errors.ts'
import { type AdminEnv, answer, readBody, readQuery, secretInput, timeOf } from './answer.ts'
import type { AdminDeps } from './deps.ts'
import { pageFrom, pageQuery, unknownCursor } from './page.ts'

/** What every way to connect takes. */
export const connectionInput = z.strictObject({
  provider: z.string(),
  label: z.string().max(64).optional(),
  owner: z.string().min(1).max(200).optional(),
  /** A connection to make anew. */
  connection_id: z.string().optional(),
  confirm_account_change: z.boolean().optional(),
})

/** The credential goes in and never out. */
const pastedConnection = connectionInput.extend({ credential: secretInput })

const listQuery = pageQuery.extend({ provider: z.string().optional() })

/** `/connections`: accounts linked at providers; never their credentials. */
export function connectionRoutes(deps: AdminDeps): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>()

  app.get('/', async (c) => {
    const query = readQuery(c, listQuery)
    if (isRefusal(query)) return answer(c, query)
    const { provider, limit, cursor } = query
    const after = cursor === undefined ? undefined : await showConnection(deps, cursor)
    if (isRefusal(after)) return answer(c, unknownCursor)
    const page = pageFrom(await listConnections(deps, { provider, after, limit: limit + 1 }), limit)
    return answer(c, { ...page, items: page.items.map(connectionView) })
  })

  app.post('/', async (c) => {
    const input = await readBody(c, pastedConnection)
    if (isRefusal(input)) return answer(c, input)
    const made = await connectPasted(deps, {
      ...{ provider: input.provider, label: input.label, owner: input.owner },
      ...{ connectionId: input.connection_id, credential: input.credential },
      confirmAccountChange: input.confirm_account_change,
    })
    return answer(c, isRefusal(made) ? made : connectionView(made.connection), 201)
  })

  app.get('/:connection', async (c) => {
    const found = await namedConnection(deps, c.req.param('connection'))
    return answer(c, isRefusal(found) ? found : connectionView(found))
  })

  app.post('/:connection/test', async (c) => {
    const found = await namedConnection(deps, c.req.param('connection'))
    if (isRefusal(found)) return answer(c, found)
    const tested = await testConnection(deps, deps.credentials, found.id)
    return answer(c, isRefusal(tested) ? tested : connectionView(tested))
  })

  app.delete('/:connection', async (c) => {
    const found = await namedConnection(deps, c.req.param('connection'))
    if (isRefusal(found)) return answer(c, found)
    const removed = await removeConnection(deps, deps.credentials, found.id)
    return answer(c, isRefusal(removed) ? removed : connectionView(removed))
  })

  return app
}

/** By id, by `<provider>@<label>`, or by provider or label where only one has it. */
async function namedConnection(deps: AdminDeps, name: string): Promise<Connection | Refusal> {
  if (name.startsWith('con_')) return showConnection(deps, name)
  const all = await listConnections(deps, { limit: 1000 })
  const found = all.filter((one) =>
    [`${one.provider}@${one.label}`, one.provider, one.label].includes(name),
  )
  const [only, ...more] = found
  if (only && more.length === 0) return only
  if (!only) {
    return refuse(
      'not_found',
      `There is no connection "${name}"; \`okoro connections list\` shows all.`,
    )
  }
  const names = found.map(({ provider, label }) => `${provider}@${label}`)
  const message = `"${name}" means several connections: name one, as in ${names[0]}.`
  return refuse('connection_required', message, { connections: names })
}

export const connectionView = (connection: Connection) => {
  const { id, provider, applicationId, label, owner, status, reason, generation } = connection
  return {
    ...{ id, provider, label, owner, status, reason, sandbox: connection.sandbox },
    ...{ application_id: applicationId, account: connection.account, generation },
    account_name: connection.accountName,
    granted_scopes: connection.grantedScopes,
    ...{ expires_at: timeOf(connection.expiresAt), created_at: timeOf(connection.createdAt) },
    updated_at: timeOf(connection.updatedAt),
  }
}

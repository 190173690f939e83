import { Hono } from 'hono'
import { z } from 'zod'
import {
  type Application,
  addApplication,
  changeLimit,
  limitOf,
  listApplications,
  removeApplication,
  restrictionOf,
  rotateSecret,
} from '../connections/applications.ts'
import { isRefusal, type Refusal, refuse } from '../errors.ts'
import { type AdminEnv, answer, readBody, readQuery, secretInput, timeOf } from './answer.ts'
import type { AdminDeps } from './deps.ts'
import { pageOf, pageQuery } from './page.ts'

/** At most a million calls, and at most a day. */
const limitInput = z.union([
  z.enum(['default', 'none']),
  z.strictObject({
    requests: z.int().min(1).max(1_000_000),
    seconds: z.int().min(1).max(86_400),
  }),
])

const newApplication = z.strictObject({
  provider: z.string(),
  client_id: z.string().trim().min(1).max(512),
  client_secret: secretInput,
  redirect_uri: z.string().max(2048).optional(),
  limit: limitInput.optional(),
})

const newLimit = z.strictObject({ limit: limitInput })

const newSecret = z.strictObject({ client_secret: secretInput })

const listQuery = pageQuery.extend({ provider: z.string().optional() })

/** `/applications`: our OAuth clients at the providers. Their secrets go in and never out. */
export function applicationRoutes(deps: AdminDeps): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>()

  app.get('/', async (c) => {
    const query = readQuery(c, listQuery)
    if (isRefusal(query)) return answer(c, query)
    const page = pageOf(await listApplications(deps, query.provider ?? null), query)
    if (isRefusal(page)) return answer(c, page)
    return answer(c, { ...page, items: page.items.map((one) => applicationView(deps, one)) })
  })

  app.post('/', async (c) => {
    const input = await readBody(c, newApplication)
    if (isRefusal(input)) return answer(c, input)
    const {
      provider,
      client_id: clientId,
      client_secret: secret,
      redirect_uri: redirectUri,
      limit,
    } = input
    const added = await addApplication(deps, { provider, clientId, secret, redirectUri, limit })
    return answer(c, isRefusal(added) ? added : applicationView(deps, added), 201)
  })

  app.get('/:id', async (c) => {
    const found = await findApplication(deps, c.req.param('id'))
    return answer(c, isRefusal(found) ? found : applicationView(deps, found))
  })

  app.put('/:id/secret', async (c) => {
    const input = await readBody(c, newSecret)
    if (isRefusal(input)) return answer(c, input)
    const request = { id: c.req.param('id'), secret: input.client_secret }
    const rotated = await rotateSecret(deps, request)
    return answer(c, isRefusal(rotated) ? rotated : applicationView(deps, rotated))
  })

  app.put('/:id/limit', async (c) => {
    const input = await readBody(c, newLimit)
    if (isRefusal(input)) return answer(c, input)
    const changed = await changeLimit(deps, { id: c.req.param('id'), limit: input.limit })
    return answer(c, isRefusal(changed) ? changed : applicationView(deps, changed))
  })

  app.delete('/:id', async (c) => {
    const removed = await removeApplication(deps, c.req.param('id'))
    return answer(c, isRefusal(removed) ? removed : applicationView(deps, removed))
  })

  return app
}

async function findApplication(deps: AdminDeps, id: string): Promise<Application | Refusal> {
  const found = (await listApplications(deps)).find((one) => one.id === id)
  return found ?? refuse('not_found', `There is no application ${id}.`)
}

function applicationView({ catalog }: AdminDeps, application: Application) {
  const { id, provider, clientId, redirectUri, sandbox, createdAt, limit } = application
  const entry = catalog.providers.get(provider)
  return {
    ...{ id, provider, client_id: clientId, redirect_uri: redirectUri, sandbox },
    created_at: timeOf(createdAt),
    /** What holds: `requests` in any `seconds`, or null for none. */
    limit: limitOf(application, entry),
    /** Whether the provider file says so, or the operator. */
    limit_is_default: limit === 'default',
    /** What the provider makes of the redirect URI when it breaks its rules, else null. */
    restriction: entry ? restrictionOf(entry, redirectUri) : null,
  }
}

import { Hono } from 'hono'
import { z } from 'zod'
import { type BegunFlow, beginFlow, showFlow } from '../connections/connect.ts'
import { finishPasted } from '../connections/finish.ts'
import { isRefusal, refuse } from '../errors.ts'
import { type AdminEnv, answer, readBody, timeOf } from './answer.ts'
import { connectionInput, connectionView } from './connections.ts'
import type { AdminDeps } from './deps.ts'

const newFlow = connectionInput.extend({ application_id: z.string().optional() })

const pasted = z.strictObject({
  session: z.string(),
  redirect_url: z.string().min(1).max(8192),
})

/** `/connect-flows`: connecting an account, from the link to the connection. */
export function connectFlowRoutes(deps: AdminDeps): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>()

  app.post('/', async (c) => {
    const input = await readBody(c, newFlow)
    if (isRefusal(input)) return answer(c, input)
    const flow = await beginFlow(deps, {
      ...{ provider: input.provider, label: input.label, owner: input.owner },
      ...{ applicationId: input.application_id, connectionId: input.connection_id },
      confirmAccountChange: input.confirm_account_change,
    })
    return answer(c, isRefusal(flow) ? flow : begunView(flow), 201)
  })

  app.get('/:id', async (c) => {
    const flow = await showFlow(deps, c.req.param('id'))
    if (!flow) return answer(c, refuse('not_found', `There is no flow ${c.req.param('id')}.`))
    const { connectionId, expiresAt, ...rest } = flow
    return answer(c, { ...rest, connection_id: connectionId, expires_at: timeOf(expiresAt) })
  })

  app.post('/:id/pasted', async (c) => {
    const input = await readBody(c, pasted)
    if (isRefusal(input)) return answer(c, input)
    const { session, redirect_url: redirectUrl } = input
    const done = await finishPasted(deps, { flowId: c.req.param('id'), session, redirectUrl })
    return answer(c, isRefusal(done) ? done : connectionView(done.connection))
  })

  return app
}

const begunView = ({ flowId, link, session, expiresAt }: BegunFlow) => ({
  ...{ id: flowId, link, session, expires_at: timeOf(expiresAt) },
})

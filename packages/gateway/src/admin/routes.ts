import { Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { refusalOf, refuse } from '../errors.ts'
import { agentRoutes } from './agents.ts'
import { type AdminEnv, answer } from './answer.ts'
import { applicationRoutes } from './applications.ts'
import { auditRoutes } from './audit.ts'
import { connectFlowRoutes } from './connect-flows.ts'
import { connectionRoutes } from './connections.ts'
import { type AdminDeps, newId } from './deps.ts'
import { keyRoutes } from './keys.ts'
import { providerRoutes } from './providers.ts'

const maxBodyBytes = 65_536

/**
 * `/api/v1`, for whoever may administer: the unix socket and calls in this process, where the
 * system decides who that is. On TCP `guardAdmin` stands in front.
 */
export function adminRoutes(deps: AdminDeps): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>()

  app.use(async (c, next) => {
    c.set('requestId', newId('req', deps.random))
    c.set('publicUrl', deps.publicUrl)
    await next()
    c.header('okoro-request-id', c.var.requestId)
  })
  app.use(
    bodyLimit({
      maxSize: maxBodyBytes,
      onError: (c) =>
        answer(c, refuse('payload_too_large', `The body is over ${maxBodyBytes} bytes.`)),
    }),
  )

  const api = app.basePath('/api/v1')
  api.get('/status', async (c) => answer(c, await statusOf(deps)))
  api.route('/agents', agentRoutes(deps))
  api.route('/applications', applicationRoutes(deps))
  api.route('/connections', connectionRoutes(deps))
  api.route('/connect-flows', connectFlowRoutes(deps))
  api.route('/providers', providerRoutes(deps))
  api.route('/audit', auditRoutes(deps))
  api.route('/keys', keyRoutes(deps))

  app.notFound((c) => answer(c, refuse('not_found', `There is no ${c.req.method} ${c.req.path}.`)))
  app.onError((error, c) => {
    deps.onFault(error, c.var.requestId)
    return answer(c, refusalOf(error))
  })
  return app
}

const statusOf = async ({ store, vault, catalog, publicUrl, gatewayVersion }: AdminDeps) => ({
  ...{ version: gatewayVersion, node: store.node, boot: store.boot, database: store.dialect },
  database_doubts: await store.doubts(),
  ...{ public_url: publicUrl, policy_epoch: store.policyEpoch(), root_key: vault.keyId },
  sandboxes: Object.fromEntries(
    [...catalog.providers.values()].flatMap(({ name, sandbox }) =>
      sandbox === null ? [] : [[name, sandbox]],
    ),
  ),
})

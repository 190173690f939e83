import { Hono } from 'hono'
import type { Rule } from '../catalog/endpoint.ts'
import type { Provider } from '../catalog/provider.ts'
import { redirectUriOf, restrictionOf } from '../connections/applications.ts'
import { isRefusal, refuse } from '../errors.ts'
import { type AdminEnv, answer, readQuery } from './answer.ts'
import type { AdminDeps } from './deps.ts'
import { pageOf, pageQuery } from './page.ts'

/** `/providers`: the catalogue as it is loaded. */
export function providerRoutes(deps: AdminDeps): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>()
  const { providers } = deps.catalog

  app.get('/', (c) => {
    const query = readQuery(c, pageQuery)
    if (isRefusal(query)) return answer(c, query)
    const all = [...providers.values()].map((provider) => ({ ...summaryOf(provider) }))
    const page = pageOf(
      all.map((one) => ({ id: one.name, ...one })),
      query,
    )
    if (isRefusal(page)) return answer(c, page)
    return answer(c, { ...page, items: page.items.map(({ id: _, ...rest }) => rest) })
  })

  app.get('/:provider', (c) => {
    const name = c.req.param('provider')
    const provider = providers.get(name)
    if (provider) return answer(c, { ...summaryOf(provider), ...detailsOf(provider, deps) })
    const message = `There is no provider "${name}"; \`okoro providers list\` shows all.`
    return answer(c, refuse('unknown_provider', message))
  })

  return app
}

const summaryOf = ({ name, title, summary, docs, checked, sandbox, digest, rules }: Provider) => ({
  ...{ name, title, summary, docs, checked, sandbox, digest, rule_count: rules.length },
})

function detailsOf(provider: Provider, { publicUrl }: AdminDeps) {
  const redirectUri = redirectUriOf(publicUrl, provider.name)
  return {
    hosts: Object.fromEntries(provider.hosts),
    redirect_uri: redirectUri,
    /** What the provider makes of that URI when it breaks its rules, else null. */
    restriction: restrictionOf(provider, redirectUri),
    code_lifetime_seconds: provider.auth.token.codeLifetimeSeconds,
    scopes: provider.auth.scopes,
    ...{ closed: provider.closed, unknown_paths: provider.unknownPaths },
    ...{ rules: provider.rules.map(ruleView), sources: provider.sources },
  }
}

const ruleView = ({ id, level, summary, path, action, methods, captures, tags }: Rule) => ({
  ...{ id, level, summary, path, action, methods, captures, tags },
})

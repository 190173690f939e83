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
  return {
    hosts: Object.fromEntries(provider.hosts),
    ...authView(provider, publicUrl),
    ...{ closed: provider.closed, unknown_paths: provider.unknownPaths },
    ...{ rules: provider.rules.map(ruleView), sources: provider.sources },
  }
}

/** How an account is connected; null for what this scheme does not have. */
function authView(provider: Provider, publicUrl: string) {
  const { auth, name } = provider
  if (auth.scheme === 'api_key') {
    const { scheme, title, page } = auth
    const none = { redirect_uri: null, restriction: null, code_lifetime_seconds: null, scopes: [] }
    return { auth: { scheme, credential: title, page }, ...none }
  }
  const redirectUri = redirectUriOf(publicUrl, name)
  return {
    auth: { scheme: auth.scheme, credential: null, page: null },
    redirect_uri: redirectUri,
    /** What the provider makes of that URI when it breaks its rules, else null. */
    restriction: restrictionOf(provider, redirectUri),
    ...{ code_lifetime_seconds: auth.token.codeLifetimeSeconds, scopes: auth.scopes },
  }
}

const ruleView = ({ id, level, summary, path, action, methods, captures, tags }: Rule) => ({
  ...{ id, level, summary, path, action, methods, captures, tags },
})

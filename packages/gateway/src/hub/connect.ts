import { type Context, Hono } from 'hono'
import { getCookie, setCookie } from 'hono/cookie'
import { openLink } from '../connections/connect.ts'
import type { ConnectionsContext } from '../connections/context.ts'
import { type ConnectFailure, connectFailures } from '../connections/failure.ts'
import { finish } from '../connections/finish.ts'
import type { Connected } from '../connections/keep.ts'
import { errors, isRefusal, type Refusal, refusalOf } from '../errors.ts'
import { page, quietHeaders } from './page.ts'

/**
 * The pages on which people connect an account; `report` is told what broke behind them. What the paths and queries carry (link, code,
 * state) is never written anywhere; a log of requests must leave these paths out.
 */
export function connectRoutes(
  context: ConnectionsContext,
  report: (malfunction: unknown) => void,
): Hono {
  const { protocol, pathname } = new URL(context.publicUrl)
  const cookiePath = `${pathname.replace(/\/$/, '')}/connect/callback`
  const routes = new Hono()

  routes.get('/connect/start/:link', async (c) => {
    if (isGlance(c)) return c.body(null, 200, quietHeaders)
    const opened = await openLink(context, c.req.param('link'))
    if (isRefusal(opened)) return failurePage(opened)
    const { name, value, maxAgeSeconds: maxAge } = opened.cookie
    const secure = protocol === 'https:'
    setCookie(c, name, value, {
      ...{ path: cookiePath, maxAge, secure, httpOnly: true, sameSite: 'Lax' },
    })
    for (const [header, text] of Object.entries(quietHeaders)) c.header(header, text)
    return c.redirect(opened.redirectTo, 303)
  })

  routes.get('/connect/callback/:provider', async (c) => {
    if (isGlance(c)) return c.body(null, 200, quietHeaders)
    const result = await finish(context, {
      provider: c.req.param('provider'),
      parameters: new URL(c.req.url).searchParams,
      cookie: (name) => getCookie(c, name),
    })
    return isRefusal(result) ? failurePage(result) : successPage(context, result)
  })

  routes.onError((error) => {
    report(error)
    return brokenPage(refusalOf(error))
  })
  return routes
}

/** Link previews look before anyone opens: a HEAD, which hono answers like a GET, uses nothing up. */
const isGlance = (c: Context): boolean => c.req.method === 'HEAD'

function successPage(
  { catalog }: ConnectionsContext,
  { connection, isReconnected }: Connected,
): Response {
  const { provider, label, sandbox } = connection
  const title = catalog.providers.get(provider)?.title ?? provider
  const stood = sandbox ? ' This is the sandbox: the account and its data are invented.' : ''
  return page({
    status: 200,
    tone: 'good',
    title: `${title} is connected`,
    what: [
      `The account is ${isReconnected ? 'connected again' : 'connected'} as “${label}”.${stood}`,
      'Agents that were granted this connection can use it from now on. They never see the credential.',
    ],
    next: 'You can close this page.',
  })
}

function failurePage({ code, members }: ConnectFailure): Response {
  const { title, what, next } = connectFailures[members.reason]
  const said = members.detail === null ? [] : [members.detail]
  return page({ status: errors[code].status, tone: 'bad', title, what: [what, ...said], next })
}

function brokenPage({ code, message }: Refusal): Response {
  const { status, title } = errors[code]
  const next = 'Try again in a moment with a new link.'
  return page({ status, tone: 'bad', title, what: [message], next })
}

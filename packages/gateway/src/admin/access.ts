import { timingSafeEqual } from 'node:crypto'
import { isIP } from 'node:net'
import { Hono } from 'hono'
import { hashOfToken } from '../config/settings.ts'
import { type Refusal, refuse } from '../errors.ts'
import type { Random } from '../words.ts'
import { type AdminEnv, answer } from './answer.ts'
import { newId } from './deps.ts'

export type Guard = {
  /** Hex SHA-256 of the token that callers must send. */
  readonly tokenHash: string
  /** The address that the admin listener is bound to. */
  readonly adminHost: string
  readonly publicUrl: string
  readonly random: Random
}

/**
 * The routes with what stands in front of them on TCP. A caller brings `Authorization: Bearer
 * <token>` (RFC 6750) and names this listener in its Host header: a web page whose name was made
 * to point at this machine (DNS rebinding) is refused before its token is looked at.
 */
export function guardAdmin(routes: Hono<AdminEnv>, guard: Guard): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>()
  app.use(async (c, next) => {
    const refusal =
      judgeHost(c.req.header('host') ?? '', guard.adminHost) ??
      judgeToken(c.req.header('authorization') ?? '', guard.tokenHash)
    if (refusal === null) return next()
    c.set('requestId', newId('req', guard.random))
    c.set('publicUrl', guard.publicUrl)
    return answer(c, refusal)
  })
  app.mount('/', routes.fetch)
  return app
}

function judgeHost(header: string, adminHost: string): Refusal | null {
  const name = header
    .toLowerCase()
    .replace(/:\d*$/, '')
    .replace(/^\[(.*)\]$/, '$1')
  const known = ['localhost', '127.0.0.1', '::1', adminHost.toLowerCase()]
  // Bound to every address: any of them may be meant, but a name could be anybody's.
  const isAnyAddress = ['0.0.0.0', '::'].includes(adminHost) && isIP(name) > 0
  if (known.includes(name) || isAnyAddress) return null
  return refuse(
    'invalid_request',
    `The Host header must name this admin listener: ${[...new Set(known)].join(', ')}.`,
  )
}

function judgeToken(header: string, tokenHash: string): Refusal | null {
  const token = /^bearer +(\S+) *$/i.exec(header)?.[1] ?? ''
  const sent = Buffer.from(hashOfToken(token), 'hex')
  if (timingSafeEqual(sent, Buffer.from(tokenHash, 'hex'))) return null
  return refuse(
    'invalid_token',
    'Send `Authorization: Bearer <admin token>`: it is in admin.token in the data folder, ' +
      'unless OKORO_ADMIN_TOKEN gives another one.',
  )
}

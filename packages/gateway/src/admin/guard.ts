import { timingSafeEqual } from 'node:crypto'
import { isIP } from 'node:net'
import { hashOfToken } from '../config/settings.ts'
import type { Config } from '../config.ts'
import { problem, type Refusal, refuse } from '../errors.ts'
import type { Random } from '../words.ts'
import { findAdminToken } from './admin-token.ts'
import { newId } from './deps.ts'

export type GuardParts = {
  readonly config: Pick<Config, 'dataDir' | 'adminHost' | 'adminToken'>
  readonly random: Random
  readonly publicUrl: string
}

/** The answer for a request that may not pass; null for one that may. */
export type Guard = (request: Request) => Response | null

/**
 * What stands in front of the admin API on TCP. A caller brings `Authorization: Bearer <token>`
 * (RFC 6750) and names this listener in its Host header: a web page whose name was made to point
 * at this machine (DNS rebinding) is refused before its token is looked at. Throws Malfunction
 * when the token's file can't be used.
 */
export async function guardAdmin({ config, random, publicUrl }: GuardParts): Promise<Guard> {
  const tokenHash = config.adminToken ?? (await findAdminToken(config.dataDir, random))
  return (request) => {
    const refusal =
      judgeHost(request.headers.get('host') ?? '', config.adminHost) ??
      judgeToken(request.headers.get('authorization') ?? '', tokenHash)
    if (refusal === null) return null
    const { status, headers, body } = problem(refusal, {
      publicUrl,
      requestId: newId('req', random),
    })
    return new Response(body, { status, headers })
  }
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

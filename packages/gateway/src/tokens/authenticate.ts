import { isRefusal, type Refusal, refuse } from '../errors.ts'
import { findServiceToken, type ServiceTokenOfAgent } from '../store/service-token.ts'
import type { Store } from '../store/store.ts'
import { hashServiceToken, isServiceToken, serviceTokenPrefix } from './service-token.ts'

/** RFC 6750, section 2.1, with the scheme in any letter case (RFC 9110, section 11.1). */
const bearer = /^bearer +([A-Za-z0-9._~+/-]+=*) *$/i

/** The agent behind a service token. */
export type Caller = {
  readonly agentId: string
  readonly agentName: string
  readonly serviceTokenId: string
  /** Of the service token; milliseconds since the Unix epoch, null for never. */
  readonly expiresAt: number | null
}

/**
 * Whose service token an Authorization header carries, and whether it still counts. The caller
 * is known, and `refusal` set, when the token was once a good one: such refusals are recorded.
 */
export async function authenticate(
  { store, nowMs }: { readonly store: Store; readonly nowMs: number },
  authorization: string | undefined,
): Promise<Refusal | { readonly caller: Caller; readonly refusal: Refusal | null }> {
  const token = bearerToken(authorization)
  if (isRefusal(token)) return token
  const malformed = findMalformed(token)
  if (malformed !== null) return invalidToken(malformed)
  const row = await findServiceToken(store.db, hashServiceToken(token))
  if (row === undefined) return invalidToken('is unknown to this gateway')
  const ended = whyEnded(row, nowMs)
  return { caller: callerOf(row), refusal: ended === null ? null : invalidToken(ended) }
}

/** The token of an Authorization header, or why there is none. */
export function bearerToken(header: string | undefined): string | Refusal {
  if (header === undefined || header.trim() === '') {
    return refuse(
      'invalid_token',
      'The token is missing: send the header `Authorization: Bearer <token>`.',
    )
  }
  const token = bearer.exec(header)?.[1]
  if (token !== undefined) return token
  return refuse(
    'invalid_token',
    'The Authorization header is malformed: it must be `Bearer`, one space and one token.',
  )
}

export const serviceTokenExpired = () => invalidToken('has expired')

function findMalformed(token: string): string | null {
  if (isServiceToken(token)) return null
  if (token.startsWith(serviceTokenPrefix)) return 'is mistyped or truncated: its checksum is wrong'
  if (token.startsWith('eyJ')) return 'is an operation token: this call takes the service token'
  return `is malformed: it begins with ${serviceTokenPrefix}`
}

function whyEnded(row: ServiceTokenOfAgent, nowMs: number): string | null {
  if (row.agent_status !== 'active') return 'has ended with its agent, which was revoked'
  if (row.revoked_at !== null) return 'was revoked'
  return row.expires_at !== null && row.expires_at <= nowMs ? 'has expired' : null
}

function callerOf(row: ServiceTokenOfAgent): Caller {
  return {
    agentId: row.agent_id,
    agentName: row.agent_name,
    serviceTokenId: row.id,
    expiresAt: row.expires_at,
  }
}

function invalidToken(what: string): Refusal {
  return refuse(
    'invalid_token',
    `The service token ${what}. Send the one that the operator gave you as ` +
      '`Authorization: Bearer svc_…`, or ask for a new one.',
  )
}

import { tokenOf } from '../api/access/bearer.ts'
import type { ApiRequest } from '../http/request.ts'
import type { State } from '../state.ts'

/** Whose limit a request falls under, and what must not come twice in a row. */
export type Caller = {
  readonly clientId: string
  /** Who asks for what, as one text; null for a call that may be repeated. */
  readonly call: string | null
}

/**
 * Null for a request that no known application stands behind, which no limit can meet.
 *
 * The same call is the same path with the same parameters, in whatever order and place, by the same
 * person at the same application: with a new token it is still the same. The token endpoint is known
 * to refuse a repeated refresh alone, so codes and nonces may be asked for again.
 */
export function callerOf(request: ApiRequest, state: State): Caller | null {
  const token = tokenOf(request)
  const owner = token === null ? null : state.tokens.ownerOf(token)
  if (owner !== null) {
    const { clientId, userId } = owner
    return { clientId, call: describe(request, [clientId, `${userId}`]) }
  }
  const clientId = request.params.get('client_id') ?? ''
  if (!state.applications.has(clientId)) return null
  const isRefresh = request.body.get('grant_type') === 'refresh_token'
  return { clientId, call: isRefresh ? describe(request, [clientId]) : null }
}

function describe({ path, params }: ApiRequest, who: readonly string[]): string {
  const given = [...params].filter(([name]) => name !== 'access_token')
  return JSON.stringify([who, path, given.sort(([a], [b]) => (a < b ? -1 : 1))])
}

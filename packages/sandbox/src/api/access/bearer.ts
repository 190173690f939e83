import type { ApiRequest } from '../../http/request.ts'

/** The one access token of a request; null when there is none, or two that differ. */
export function tokenOf({ authorization, params }: ApiRequest): string | null {
  const given = new Set(authorization.map(readBearer))
  // The documentation of 2018 passed the token as a parameter, and live clients still do.
  const legacy = params.get('access_token')
  if (legacy !== undefined) given.add(legacy)
  const [accessToken] = given
  return given.size === 1 && accessToken !== undefined ? accessToken : null
}

function readBearer(header: string): string {
  return /^bearer +([^ ]+)$/i.exec(header)?.[1] ?? ''
}

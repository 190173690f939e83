import { OkoroError, readJson, readProblem } from './okoro-error.ts'
import type { TokenAnswer, TokenRequest } from './wire.ts'

export type Gateway = {
  /** Without a trailing slash. */
  readonly url: string
  readonly serviceToken: string
  readonly fetch: typeof globalThis.fetch
}

const timeoutMs = 30_000

/** RFC 6750's b64token: what fits into an Authorization header whatever the runtime. */
const bearerToken = /^[A-Za-z0-9._~+/-]+=*$/

export function isBearerToken(value: unknown): value is string {
  return typeof value === 'string' && bearerToken.test(value)
}

/**
 * Trades the service token for an operation token: `POST /t/tokens`.
 *
 * @throws OkoroError with the gateway's code when it refuses
 */
export async function exchange(gateway: Gateway, request: TokenRequest): Promise<TokenAnswer> {
  return readTokenAnswer(await requestToken(gateway, request))
}

function requestToken(
  { url, serviceToken, fetch }: Gateway,
  request: TokenRequest,
): Promise<Response> {
  return fetch(`${url}/t/tokens`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${serviceToken}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify(request),
    // The gateway never redirects; whoever does would be handed the intent.
    redirect: 'error',
    signal: AbortSignal.timeout(timeoutMs),
  })
}

async function readTokenAnswer(response: Response): Promise<TokenAnswer> {
  if (!response.ok) throw await readProblem(response)
  const answer = await readJson(response)
  if (isTokenAnswer(answer)) return answer
  throw new OkoroError({
    code: 'unexpected_answer',
    message: 'The answer to the token exchange is no token. Is this the URL of an okoro gateway?',
    status: response.status,
  })
}

function isTokenAnswer(value: unknown): value is TokenAnswer {
  if (typeof value !== 'object' || value === null) return false
  const { token, expires_in: expiresIn } = value as Partial<TokenAnswer>
  return isBearerToken(token) && typeof expiresIn === 'number' && expiresIn > 0
}

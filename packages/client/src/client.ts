import { type CallOptions, call } from './call.ts'
import { exchange, type Gateway, isBearerToken } from './exchange.ts'
import { createTokenCache } from './token-cache.ts'
import type { TokenAnswer, TokenRequest } from './wire.ts'

export type ClientOptions = {
  /** Where the gateway listens for agents; `http://127.0.0.1:8420` unless given. */
  readonly url?: string
  /** The agent's `svc_…` token. It stays inside the client: no error and no inspection shows it. */
  readonly serviceToken: string
  readonly fetch?: typeof globalThis.fetch
  /** Milliseconds, for tests. */
  readonly now?: () => number
}

export type Client = {
  /** Trades the service token for a new operation token; nothing is cached. */
  readonly exchange: (request: TokenRequest) => Promise<TokenAnswer>
  /**
   * Calls a provider with an operation token that the client fetches, caches and renews.
   * Resolves to the provider's own answer and rejects with `OkoroError` for the gateway's.
   */
  readonly call: (options: CallOptions) => Promise<Response>
}

/**
 * @example
 * const okoro = createClient({ url: process.env.OKORO_URL, serviceToken: process.env.OKORO_SERVICE_TOKEN })
 * const answer = await okoro.call({
 *   provider: 'withings',
 *   path: '/measure',
 *   intent: "check this week's weight trend",
 *   json: { action: 'getmeas', meastypes: '1' },
 * })
 *
 * @throws TypeError when the service token could not stand in a header
 */
export function createClient({
  url = 'http://127.0.0.1:8420',
  serviceToken,
  fetch = globalThis.fetch,
  now = Date.now,
}: ClientOptions): Client {
  // A runtime quotes a header that it refuses, and the token with it: hence the check up front.
  if (!isBearerToken(serviceToken)) {
    throw new TypeError('serviceToken is missing, or has characters that no service token has')
  }
  const gateway: Gateway = { url: url.replace(/\/+$/, ''), serviceToken, fetch }
  const send = (request: TokenRequest) => exchange(gateway, request)
  const tokens = createTokenCache({ exchange: send, now })
  return { exchange: send, call: (options) => call(gateway, tokens, options) }
}

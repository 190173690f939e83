import type { TokenAnswer, TokenRequest } from './wire.ts'

export type TokenCache = {
  /** A token with life left in it; callers that ask for the same one at the same time share one exchange. */
  readonly take: (request: TokenRequest) => Promise<string>
  /** Drops `token`, unless another caller has replaced it meanwhile. */
  readonly drop: (request: TokenRequest, token: string) => void
}

type TokenCacheOptions = {
  readonly exchange: (request: TokenRequest) => Promise<TokenAnswer>
  /** Milliseconds. */
  readonly now: () => number
}

type CachedToken = { readonly token: string; readonly renewAtMs: number }

const renewAheadSeconds = 60

/** Keeps operation tokens in memory, one per provider, scope, connection and intent. */
export function createTokenCache({ exchange, now }: TokenCacheOptions): TokenCache {
  const tokens = new Map<string, CachedToken>()
  const flights = new Map<string, Promise<string>>()

  // Intents are free text: without this an agent that runs for weeks would keep every one of them.
  function sweep(): void {
    for (const [key, { renewAtMs }] of tokens) if (renewAtMs <= now()) tokens.delete(key)
  }

  async function fly(key: string, request: TokenRequest): Promise<string> {
    // Counted from before the request, by our own clock: neither a slow answer nor a gateway
    // with another time makes a token look younger than it is.
    const askedAtMs = now()
    try {
      const { token, expires_in: ttlSeconds } = await exchange(request)
      sweep()
      tokens.set(key, { token, renewAtMs: askedAtMs + usableSeconds(ttlSeconds) * 1000 })
      return token
    } finally {
      flights.delete(key)
    }
  }

  return {
    take: async (request) => {
      const key = keyOf(request)
      const cached = tokens.get(key)
      if (cached && now() < cached.renewAtMs) return cached.token
      const flight = flights.get(key) ?? fly(key, request)
      flights.set(key, flight)
      return flight
    },
    drop: (request, token) => {
      const key = keyOf(request)
      if (tokens.get(key)?.token === token) tokens.delete(key)
    },
  }
}

/** A token shorter than two minutes is used for half its life, else it would never be used twice. */
function usableSeconds(ttlSeconds: number): number {
  return ttlSeconds - Math.min(renewAheadSeconds, ttlSeconds / 2)
}

function keyOf({ provider, scope, connection, intent }: TokenRequest): string {
  return JSON.stringify([provider, scope, connection ?? null, intent])
}

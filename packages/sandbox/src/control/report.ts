import { cancelledAt } from '../notify/standing.ts'
import type { TokenPair } from '../oauth/tokens.ts'
import type { World } from '../world.ts'

/** What the sandbox knows, for a test to look at: no secrets, no whole tokens. */
export function describeState({ state, now }: World) {
  return {
    now: now(),
    advanced_seconds: state.advanceSeconds,
    applications: [...state.applications.values()].map((it) => ({
      client_id: it.clientId,
      redirect_uris: it.redirectUris,
    })),
    tokens: state.tokens.all().map((pair) => describePair(pair, now())),
    subscriptions: state.subscriptions.map((it) => ({
      client_id: it.clientId,
      userid: it.userId,
      appli: it.appli,
      callbackurl: it.callbackUrl,
      comment: it.comment,
      expires: it.expiresAt,
      lost_in_a_row: it.standing.lostInARow,
      warnings: it.standing.warnings,
      cancelled_at: cancelledAt(it.standing),
    })),
  }
}

function describePair(pair: TokenPair, now: number) {
  return {
    client_id: pair.clientId,
    userid: pair.userId,
    scope: pair.scopes.join(','),
    access: lifeOf(pair.accessDiesAt, now),
    access_used: pair.isAccessUsed,
    access_token_prefix: pair.accessToken.slice(0, 8),
    refresh: lifeOf(pair.refreshDiesAt, now),
    refresh_token_prefix: pair.refreshToken.slice(0, 8),
  }
}

function lifeOf(diesAt: number, now: number) {
  return { state: diesAt > now ? 'alive' : 'dead', seconds_left: Math.max(0, diesAt - now) }
}

import { randomBytes } from 'node:crypto'
import type { Scope } from './scope.ts'

const ACCESS_SECONDS = 10_800
const REFRESH_SECONDS = 31_536_000
const OVERLAP_SECONDS = 28_800
const KEPT_DEAD_PAIRS = 100

/** An access token and the refresh token it came with. Times are epoch seconds. */
export type TokenPair = {
  readonly accessToken: string
  readonly refreshToken: string
  readonly clientId: string
  readonly userId: number
  readonly scopes: readonly Scope[]
  /** The refresh token that was traded for this pair. */
  readonly replaces: string | null
  readonly isAccessUsed: boolean
  readonly accessDiesAt: number
  readonly refreshDiesAt: number
}

export type Owner = Pick<TokenPair, 'clientId' | 'userId' | 'scopes'>

/**
 * The token pairs by either token.
 *
 * An access token lives 3 hours, a refresh token 1 year. Trading a refresh token leaves it 8 hours
 * more, or until the new access token is first used, whichever comes first.
 *
 * Source: Withings developer guide, "Refresh your access and refresh tokens".
 */
export class Tokens {
  readonly #byRefresh = new Map<string, TokenPair>()
  readonly #byAccess = new Map<string, TokenPair>()

  constructor(pairs: readonly TokenPair[]) {
    for (const pair of pairs) this.#put(pair)
  }

  all(): readonly TokenPair[] {
    return [...this.#byRefresh.values()]
  }

  issue(owner: Owner, now: number): TokenPair {
    return this.#create(owner, null, now)
  }

  /** Trades a living refresh token. Null when it is unknown, dead or another application's. */
  refresh(refreshToken: string, clientId: string, now: number): TokenPair | null {
    const old = this.#byRefresh.get(refreshToken)
    if (old === undefined || old.clientId !== clientId || old.refreshDiesAt <= now) return null
    this.#put({ ...old, refreshDiesAt: Math.min(old.refreshDiesAt, now + OVERLAP_SECONDS) })
    return this.#create(old, refreshToken, now)
  }

  /** The pair of a living access token. `isFirstUse` says that older refresh tokens just died. */
  use(accessToken: string, now: number): { pair: TokenPair; isFirstUse: boolean } | null {
    const pair = this.#byAccess.get(accessToken)
    if (pair === undefined || pair.accessDiesAt <= now) return null
    if (pair.isAccessUsed) return { pair, isFirstUse: false }
    this.#put({ ...pair, isAccessUsed: true })
    this.#killReplaced(pair, now)
    return { pair, isFirstUse: true }
  }

  /** Whose access token this is or was: a dead one is known for a while. */
  ownerOf(accessToken: string): Owner | null {
    return this.#byAccess.get(accessToken) ?? null
  }

  /** Forgets every pair of one person at one application. */
  revoke(clientId: string, userId: number): void {
    for (const pair of this.all()) {
      if (pair.clientId === clientId && pair.userId === userId) this.#drop(pair)
    }
  }

  expire(which: 'access' | 'refresh' | 'all', now: number): void {
    for (const pair of this.all()) {
      this.#put({
        ...pair,
        accessDiesAt: which === 'refresh' ? pair.accessDiesAt : Math.min(pair.accessDiesAt, now),
        refreshDiesAt: which === 'access' ? pair.refreshDiesAt : Math.min(pair.refreshDiesAt, now),
      })
    }
  }

  #create(owner: Owner, replaces: string | null, now: number): TokenPair {
    this.#prune(now)
    const pair = {
      accessToken: randomToken(),
      refreshToken: randomToken(),
      clientId: owner.clientId,
      userId: owner.userId,
      scopes: owner.scopes,
      replaces,
      isAccessUsed: false,
      accessDiesAt: now + ACCESS_SECONDS,
      refreshDiesAt: now + REFRESH_SECONDS,
    }
    this.#put(pair)
    return pair
  }

  #killReplaced(pair: TokenPair, now: number): void {
    let replaced = pair.replaces === null ? undefined : this.#byRefresh.get(pair.replaces)
    while (replaced !== undefined) {
      this.#put({ ...replaced, refreshDiesAt: Math.min(replaced.refreshDiesAt, now) })
      replaced = replaced.replaces === null ? undefined : this.#byRefresh.get(replaced.replaces)
    }
  }

  #prune(now: number): void {
    const dead = this.all().filter((pair) => pair.accessDiesAt <= now && pair.refreshDiesAt <= now)
    for (const pair of dead.slice(0, -KEPT_DEAD_PAIRS)) this.#drop(pair)
  }

  #put(pair: TokenPair): void {
    this.#byRefresh.set(pair.refreshToken, pair)
    this.#byAccess.set(pair.accessToken, pair)
  }

  #drop(pair: TokenPair): void {
    this.#byRefresh.delete(pair.refreshToken)
    this.#byAccess.delete(pair.accessToken)
  }
}

/** 40 hexadecimal digits, as the provider's tokens are. */
export function randomToken(): string {
  return randomBytes(20).toString('hex')
}

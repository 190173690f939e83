import type { TokenPair } from '../oauth/tokens.ts'
import { goodStanding, type Standing } from './standing.ts'

export type Subscription = {
  readonly clientId: string
  /** Null where it is about nobody in particular: devices that are not associated. */
  readonly userId: number | null
  readonly appli: number
  readonly callbackUrl: string
  readonly comment: string
  /** Epoch seconds. */
  readonly expiresAt: number
  readonly standing: Standing
}

/** What tells one subscription from another. */
export type Key = Pick<Subscription, 'clientId' | 'userId' | 'appli' | 'callbackUrl'>

/** The recorded end of every subscription: the last second of a 32-bit clock. */
const noEnd = 2_147_483_647

export function subscription(key: Key, comment: string): Subscription {
  return { ...key, comment, expiresAt: noEnd, standing: goodStanding }
}

/** The subscriptions with the one that a newly connected person starts with. */
export function withWelcome(
  all: readonly Subscription[],
  { clientId, userId }: Pick<TokenPair, 'clientId' | 'userId'>,
): readonly Subscription[] {
  const isNew = !all.some((it) => it.clientId === clientId && it.userId === userId)
  const callbackUrl = 'https://health.example.com/withings/notify'
  const key = { clientId, userId, appli: 1, callbackUrl }
  return isNew ? [...all, subscription(key, 'Weight and body composition')] : all
}

export function keyOf({ clientId, userId }: TokenPair, appli: number, callbackUrl: string): Key {
  return { clientId, userId, appli, callbackUrl }
}

export function isSame(a: Key, b: Key): boolean {
  return (
    a.clientId === b.clientId &&
    a.userId === b.userId &&
    a.appli === b.appli &&
    a.callbackUrl === b.callbackUrl
  )
}

export function isLive({ expiresAt }: Subscription, now: number): boolean {
  return expiresAt > now
}

export function find(all: readonly Subscription[], key: Key): Subscription | undefined {
  return all.find((it) => isSame(it, key))
}

export function without(all: readonly Subscription[], key: Key): readonly Subscription[] {
  return all.filter((it) => !isSame(it, key))
}

export function change(
  all: readonly Subscription[],
  key: Key,
  changes: Partial<Subscription>,
): readonly Subscription[] {
  return all.map((it) => (isSame(it, key) ? { ...it, ...changes } : it))
}

export function describe({ appli, callbackUrl, comment, expiresAt }: Subscription) {
  return { appli, callbackurl: callbackUrl, expires: expiresAt, comment }
}

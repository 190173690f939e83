import { type Kind, whole } from './api/params.ts'
import type { Scope } from './oauth/scope.ts'
import type { TokenPair } from './oauth/tokens.ts'
import type { Subscription } from './state.ts'

/** The categories (`appli`) and the scope of each. Source: "Notification categories". */
const categories: Readonly<Record<number, Scope>> = {
  1: 'user.metrics',
  2: 'user.metrics',
  4: 'user.metrics',
  16: 'user.activity',
  44: 'user.activity',
  46: 'user.info',
  50: 'user.sleepevents',
  51: 'user.sleepevents',
  52: 'user.sleepevents',
  54: 'user.metrics',
  55: 'user.metrics',
  58: 'user.metrics',
  61: 'user.metrics',
  62: 'user.metrics',
}

export const category: Kind<number> = (text) => {
  const appli = whole(text)
  return appli !== null && Object.hasOwn(categories, appli) ? appli : null
}

/** The subscriptions with the one that a newly connected demo person starts with. */
export function welcomeSubscription(
  { clientId, userId }: Pick<TokenPair, 'clientId' | 'userId'>,
  subscriptions: readonly Subscription[],
): readonly Subscription[] {
  const isNew = !subscriptions.some((it) => it.clientId === clientId && it.userId === userId)
  const callbackUrl = 'https://health.example.com/withings/notify'
  const comment = 'Weight and body composition'
  return isNew
    ? [...subscriptions, { clientId, userId, appli: 1, callbackUrl, comment }]
    : subscriptions
}

export type Key = Omit<Subscription, 'comment'>

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

export function find(all: readonly Subscription[], key: Key): Subscription | undefined {
  return all.find((it) => isSame(it, key))
}

export function without(all: readonly Subscription[], key: Key): readonly Subscription[] {
  return all.filter((it) => !isSame(it, key))
}

export function mayUse(token: TokenPair, appli: number): boolean {
  const scope = categories[appli]
  return scope !== undefined && token.scopes.includes(scope)
}

/** An application in restricted mode may also use http, IP addresses and localhost. */
export function isCallable(url: string): boolean {
  return url.length <= 255 && /^https?:\/\//.test(url) && URL.canParse(url)
}

export function describe({ appli, callbackUrl, comment }: Subscription) {
  // The recorded end of every subscription is the last second of a 32-bit clock.
  return { appli, callbackurl: callbackUrl, expires: 2_147_483_647, comment }
}

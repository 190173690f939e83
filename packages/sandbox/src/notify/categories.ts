import { type Kind, whole } from '../api/params.ts'
import type { Scope } from '../oauth/scope.ts'
import type { TokenPair } from '../oauth/tokens.ts'

/** The category about devices that belong to nobody yet: subscribed by signature, once. */
export const unassociatedDevice = 53

/** The categories (`appli`) and the scope of each. Source: "Notification categories". */
const categories: Readonly<Record<number, Scope | null>> = {
  1: 'user.metrics',
  2: 'user.metrics',
  4: 'user.metrics',
  16: 'user.activity',
  44: 'user.activity',
  46: 'user.info',
  50: 'user.sleepevents',
  51: 'user.sleepevents',
  52: 'user.sleepevents',
  [unassociatedDevice]: null,
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

/** Does this token's consent cover the category? None covers the one that has to be signed. */
export function mayUse({ scopes }: Pick<TokenPair, 'scopes'>, appli: number): boolean {
  const scope = categories[appli] ?? null
  return scope !== null && scopes.includes(scope)
}

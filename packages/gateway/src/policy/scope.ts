import type { Provider } from '../catalog/provider.ts'
import { type Scope, scopeCovers } from '../words.ts'

/** The ids of the rules that a scope level covers. (`all` also covers what no rule names.) */
export const rulesWithin = (provider: Provider, scope: Scope): ReadonlySet<string> =>
  new Set(provider.rules.filter(({ level }) => scopeCovers(scope, level)).map(({ id }) => id))

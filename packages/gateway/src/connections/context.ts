import type { Provider } from '../catalog/provider.ts'
import type { Store } from '../store/store.ts'
import type { Vault } from '../vault/keys.ts'
import type { Clock, Random } from '../words.ts'
import type { ProviderFetch } from './egress.ts'

/** What this room is given once, at the wiring. */
export type ConnectionsContext = {
  readonly store: Store
  readonly vault: Pick<Vault, 'seal' | 'open'>
  readonly catalog: { readonly providers: ReadonlyMap<string, Provider> }
  /** From configuration, never from a Host header; without a trailing slash. */
  readonly publicUrl: string
  readonly clock: Clock
  readonly random: Random
  readonly fetch: ProviderFetch
}

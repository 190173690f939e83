import type { Inject } from './inject.ts'
import type { Probe } from './probe.ts'

/** What every scheme says, whatever else it says. */
export type Scheme = {
  readonly inject: Inject
  /** Whether another credential can be had from the provider when it refuses this one. */
  readonly isRenewable: boolean
  /** The call that tells whether a credential works; null where the file names none. */
  readonly probe: Probe | null
  /** Origins that the credential may be sent to, beside those of the calls. */
  readonly origins: readonly string[]
}

/** What a scheme may ask of the rest of the file while it is compiled. */
export type SchemeContext = {
  /** The origin of a named host, or a mistake. */
  readonly originOf: (host: string, where: string) => string
  /** A mistake where agents could reach this path. */
  readonly mustBeClosed: (host: string, path: string) => void
}

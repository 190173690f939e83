import { Limits } from './limits/limits.ts'
import type { LimitSettings } from './limits/settings.ts'
import { Deliveries } from './notify/deliveries.ts'
import { Codes, Consents, Nonces } from './oauth/one-time.ts'
import { openState, type State } from './state.ts'

/** All that a call may touch: wired once in index.ts and passed in. */
export type World = {
  readonly seed: string
  readonly state: State
  readonly consents: Consents
  readonly codes: Codes
  readonly nonces: Nonces
  readonly limits: Limits
  readonly deliveries: Deliveries
  /** The sandbox's clock, epoch seconds: the machine's plus what was advanced. */
  readonly now: () => number
  /** The same in milliseconds. */
  readonly nowMs: () => number
  /** The machine's clock, epoch milliseconds. */
  readonly wallMs: () => number
}

export type WorldOptions = {
  readonly dataDir: string | undefined
  readonly seed: string
  readonly limits: LimitSettings
  readonly wallMs: () => number
}

export function createWorld({ dataDir, seed, limits, wallMs }: WorldOptions): World {
  const state = openState(dataDir)
  const nowMs = () => wallMs() + state.advanceSeconds * 1000
  const now = () => Math.floor(nowMs() / 1000)
  return {
    seed,
    state,
    consents: new Consents(),
    codes: new Codes(),
    nonces: new Nonces(),
    limits: new Limits(limits),
    deliveries: new Deliveries({ state, seed, now }),
    now,
    nowMs,
    wallMs,
  }
}

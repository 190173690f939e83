import { Codes } from './oauth/codes.ts'
import { Consents } from './oauth/consents.ts'
import { Nonces } from './oauth/nonces.ts'
import { openState, type State } from './state.ts'

/** All that a call may touch: wired once in index.ts and passed in. */
export type World = {
  readonly seed: string
  readonly state: State
  readonly consents: Consents
  readonly codes: Codes
  readonly nonces: Nonces
  /** The sandbox's clock, epoch seconds: the machine's plus what was advanced. */
  readonly now: () => number
  /** The machine's clock, epoch milliseconds. */
  readonly wallMs: () => number
}

export type WorldOptions = {
  readonly dataDir: string | undefined
  readonly seed: string
  readonly wallMs: () => number
}

export function createWorld({ dataDir, seed, wallMs }: WorldOptions): World {
  const state = openState(dataDir)
  return {
    seed,
    state,
    consents: new Consents(),
    codes: new Codes(),
    nonces: new Nonces(),
    now: () => Math.floor(wallMs() / 1000) + state.advanceSeconds,
    wallMs,
  }
}

import { openFile } from './file.ts'
import { type TokenPair, Tokens } from './oauth/tokens.ts'

export type Application = {
  readonly clientId: string
  readonly clientSecret: string
  readonly redirectUris: readonly string[]
}

export type Subscription = {
  readonly clientId: string
  readonly userId: number
  readonly appli: number
  readonly callbackUrl: string
  readonly comment: string
}

/** What calls have changed about the demo person's data, which otherwise follows from the seed. */
export type Edits = {
  /** By measure group: does the person say that it is theirs, and since when (epoch seconds)? */
  readonly confirmations: Readonly<Record<string, { isConfirmed: boolean; at: number }>>
  readonly linkedMacs: readonly string[]
  readonly unlinkedMacs: readonly string[]
}

type Saved = {
  readonly version: 1
  readonly advanceSeconds: number
  readonly applications: readonly Application[]
  readonly tokens: readonly TokenPair[]
  readonly subscriptions: readonly Subscription[]
  readonly edits: Edits
}

/** Everything the sandbox must still know after it was killed. */
export type State = {
  advanceSeconds: number
  subscriptions: readonly Subscription[]
  edits: Edits
  readonly applications: Map<string, Application>
  readonly tokens: Tokens
  /** Returns once the state is on disk; callers answer only after it. */
  readonly save: () => void
}

/**
 * Opens the state in a folder, or in memory when there is none.
 *
 * @throws Error when the folder holds a state that this version cannot read.
 */
export function openState(dataDir: string | undefined): State {
  const file = dataDir === undefined ? null : openFile(dataDir, 'withings.json')
  const saved = readSaved(file?.read() ?? null)
  const state: State = {
    advanceSeconds: saved?.advanceSeconds ?? 0,
    subscriptions: saved?.subscriptions ?? [],
    edits: saved?.edits ?? { confirmations: {}, linkedMacs: [], unlinkedMacs: [] },
    applications: new Map(saved?.applications.map((app) => [app.clientId, app])),
    tokens: new Tokens(saved?.tokens ?? []),
    save: () => file?.write(JSON.stringify(snapshot(state))),
  }
  return state
}

function snapshot(state: State): Saved {
  return {
    version: 1,
    advanceSeconds: state.advanceSeconds,
    applications: [...state.applications.values()],
    tokens: state.tokens.all(),
    subscriptions: state.subscriptions,
    edits: state.edits,
  }
}

function readSaved(text: string | null): Saved | null {
  if (text === null) return null
  try {
    const saved = JSON.parse(text) as Saved
    if (saved.version === 1) return saved
  } catch {
    // cut bytes and foreign ones get the same advice
  }
  throw new Error(
    'the sandbox cannot read withings.json in its data folder; remove it to start over',
  )
}

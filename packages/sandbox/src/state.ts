import type { Happening } from './data/happening.ts'
import { openFile } from './file.ts'
import type { Delivery } from './notify/schedule.ts'
import { type Subscription, subscription } from './notify/subscriptions.ts'
import { type TokenPair, Tokens } from './oauth/tokens.ts'

export type Application = {
  readonly clientId: string
  readonly clientSecret: string
  readonly redirectUris: readonly string[]
}

/** What calls have changed about a person's data, which otherwise follows from the seed. */
export type Edits = {
  /** By measure group: does the person say that it is theirs, and since when (epoch seconds)? */
  readonly confirmations: Readonly<Record<string, { isConfirmed: boolean; at: number }>>
  readonly linkedMacs: readonly string[]
  readonly unlinkedMacs: readonly string[]
  readonly happenings: readonly Happening[]
}

const noEdits: Edits = { confirmations: {}, linkedMacs: [], unlinkedMacs: [], happenings: [] }

type Saved = {
  readonly version: 2
  readonly advanceSeconds: number
  readonly applications: readonly Application[]
  readonly tokens: readonly TokenPair[]
  readonly subscriptions: readonly Subscription[]
  readonly deliveries: readonly Delivery[]
  readonly edits: Readonly<Record<number, Edits>>
}

/** The first format knew one person, and nothing about deliveries. */
type SavedFirst = Pick<Saved, 'advanceSeconds' | 'applications' | 'tokens' | 'subscriptions'> & {
  readonly version: 1
}

/** Everything the sandbox must still know after it was killed. */
export type State = {
  advanceSeconds: number
  subscriptions: readonly Subscription[]
  deliveries: readonly Delivery[]
  readonly editsOf: (userId: number) => Edits
  /** Changes and saves. */
  readonly edit: (userId: number, changes: Partial<Edits>) => void
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
  let edits = saved?.edits ?? {}
  const state: State = {
    advanceSeconds: saved?.advanceSeconds ?? 0,
    subscriptions: saved?.subscriptions ?? [],
    deliveries: saved?.deliveries ?? [],
    editsOf: (userId) => edits[userId] ?? noEdits,
    edit: (userId, changes) => {
      edits = { ...edits, [userId]: { ...state.editsOf(userId), ...changes } }
      state.save()
    },
    applications: new Map(saved?.applications.map((app) => [app.clientId, app])),
    tokens: new Tokens(saved?.tokens ?? []),
    save: () => file?.write(JSON.stringify(snapshot(state, edits))),
  }
  return state
}

function snapshot(state: State, edits: Saved['edits']): Saved {
  return {
    version: 2,
    advanceSeconds: state.advanceSeconds,
    applications: [...state.applications.values()],
    tokens: state.tokens.all(),
    subscriptions: state.subscriptions,
    deliveries: state.deliveries,
    edits,
  }
}

function readSaved(text: string | null): Saved | null {
  if (text === null) return null
  try {
    const saved = JSON.parse(text) as Saved | SavedFirst
    if (saved.version === 2) return saved
    if (saved.version === 1) return upgrade(saved)
  } catch {
    // cut bytes and foreign ones get the same advice
  }
  throw new Error(
    'the sandbox cannot read withings.json in its data folder; remove it to start over',
  )
}

/** What the one person had changed about the data is let go. */
function upgrade({ advanceSeconds, applications, tokens, ...saved }: SavedFirst): Saved {
  const subscriptions = saved.subscriptions.map((it) => subscription(it, it.comment))
  const none = { deliveries: [], edits: {} }
  return { version: 2, advanceSeconds, applications, tokens, subscriptions, ...none }
}

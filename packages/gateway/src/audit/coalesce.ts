import type { Store } from '../store/store.ts'
import type { Clock } from '../words.ts'
import type { Draft, RecordFields } from './record.ts'

/** A refusal as a record: of a known agent, for a reason (an error code) and maybe by a limit. */
export type RefusalFields = RecordFields & {
  readonly agent: string
  readonly reason: string
  /** Whose it was, for `rate_limited`. */
  readonly limit?: string
}

/** Floods of the same refusal must not fill the log, and none of them may be missing in it. */
export type Coalescer = {
  /**
   * The first refusal of its kind, agent, reason and limit becomes a record of its own, durable when this
   * resolves; throws Malfunction when it can't be. Those that follow before a window goes by
   * without any are counted: one `refusals` record a window, with `count`, `first` and `last`.
   */
  record(fields: RefusalFields): Promise<void>
  /** Writes what was counted so far: the last thing before the store is closed. */
  close(): Promise<void>
}

type Tally = { readonly count: number; readonly firstMs: number; readonly lastMs: number }

type Flood = {
  readonly of: RefusalFields
  /** What followed and is in no record yet. */
  tally: Tally | null
  timer: NodeJS.Timeout
}

export function createCoalescer({
  store,
  clock,
  windowMs = 10_000,
}: {
  readonly store: Store
  readonly clock: Clock
  readonly windowMs?: number
}): Coalescer {
  const floods = new Map<string, Flood>()

  const watch = (key: string) => setTimeout(() => void settle(key), windowMs).unref()

  const end = (key: string) => {
    clearTimeout(floods.get(key)?.timer)
    floods.delete(key)
  }

  const settle = async (key: string): Promise<void> => {
    const flood = floods.get(key)
    if (!flood?.tally) return end(key)
    const { of, tally } = flood
    flood.tally = null
    flood.timer = watch(key)
    try {
      await store.write({ records: [draftTally(store, of, tally)] })
    } catch {
      // The log can't be written now: these wait for the next window.
      flood.tally = join(tally, flood.tally)
    }
  }

  return {
    record: async (fields) => {
      const key = [fields.kind, fields.agent, fields.reason, fields.limit].join(' ')
      const flood = floods.get(key)
      if (flood) {
        flood.tally = join(flood.tally, { count: 1, firstMs: clock(), lastMs: clock() })
        return
      }
      const first: Flood = { of: fields, tally: null, timer: watch(key) }
      floods.set(key, first)
      try {
        await store.write({ records: [store.draft(fields)] })
      } catch (error) {
        if (first.tally === null) end(key)
        throw error
      }
    },
    close: async () => {
      const records = [...floods.values()].flatMap(({ of, tally }) =>
        tally === null ? [] : [draftTally(store, of, tally)],
      )
      for (const key of floods.keys()) end(key)
      if (records.length > 0) await store.write({ records })
    },
  }
}

function join(earlier: Tally | null, later: Tally | null): Tally | null {
  if (earlier === null || later === null) return earlier ?? later
  return { ...earlier, count: earlier.count + later.count, lastMs: later.lastMs }
}

function draftTally(store: Store, fields: RefusalFields, tally: Tally): Draft {
  const { kind: of, agent, reason, limit } = fields
  const first = new Date(tally.firstMs).toISOString()
  const last = new Date(tally.lastMs).toISOString()
  return store.draft({
    ...{ kind: 'refusals', of, agent, reason, ...(limit !== undefined && { limit }) },
    ...{ count: tally.count, first, last },
  })
}

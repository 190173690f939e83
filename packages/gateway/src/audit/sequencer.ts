import { type Lease, releaseLease, takeLease } from '../store/lease.ts'
import type { Store } from '../store/store.ts'
import {
  type Boot,
  closeBoot,
  finishBoot,
  keepAlive,
  listClosedBoots,
  listRunningBoots,
} from './boots.ts'
import { batchSize, sequence } from './sequence.ts'

export type Sequencer = {
  /**
   * To be called every half a second on every node. One node at a time, the holder of the lease,
   * gives records their places and ends boots that died. Throws when the database is away.
   */
  tick(): Promise<void>
  /** Lets another node go on at once. */
  close(): Promise<void>
}

export type SequencerParts = {
  readonly store: Store
  /** Is told of each boot that was taken for dead, and how many of its calls were closed. */
  readonly onDeadBoot: (boot: Boot, crashed: number) => void
  /** Milliseconds that go on whatever is done to the machine's clock. */
  readonly monotonic?: () => number
  readonly ttlMs?: number
  readonly silentMs?: number
}

/** Milliseconds between two signs of life of this boot. */
const aliveEveryMs = 2_000

export function createSequencer({
  store,
  onDeadBoot,
  monotonic = () => performance.now(),
  ttlMs = 3_000,
  silentMs = 15_000,
}: SequencerParts): Sequencer {
  const silence = createSilence(silentMs)
  let lease: Lease | null = null
  let aliveAt = Number.NEGATIVE_INFINITY

  const stayAlive = async () => {
    if (monotonic() - aliveAt < aliveEveryMs) return
    await keepAlive(store)
    aliveAt = monotonic()
  }

  /** Places what waits, and gives the lease while it is ours. */
  const place = async (): Promise<Lease | null> => {
    lease ??= await takeLease(store, { name: 'sequencer', ttlMs })
    for (let placed: number | null = batchSize; lease && placed === batchSize; ) {
      placed = await sequence(store, { lease, ttlMs })
      if (placed === null) lease = null
    }
    return lease
  }

  const bury = async (held: Lease) => {
    for (const boot of silence.observe(await listRunningBoots(store), monotonic())) {
      await closeBoot(store, boot, held)
    }
    for (const boot of await listClosedBoots(store)) {
      const crashed = await finishBoot(store, boot, held)
      if (crashed > 0) onDeadBoot(boot, crashed)
    }
  }

  return {
    tick: async () => {
      if (store.dialect === 'sqlite') return
      try {
        await stayAlive()
        const held = await place()
        if (held) await bury(held)
        else silence.forget()
      } catch (error) {
        // While the database was away nobody could give a sign of life.
        silence.forget()
        throw error
      }
    },
    close: async () => {
      if (lease) await releaseLease(store, lease)
    },
  }
}

type Running = Boot & { readonly seen_at: number }

/**
 * Who has not been heard of for `silentMs` of unbroken observation. Signs of life are compared with
 * each other alone, so that no two clocks have to agree.
 */
export function createSilence(silentMs: number) {
  let heard = new Map<string, { readonly seenAt: number; readonly sinceMs: number }>()
  return {
    observe: <Seen extends Running>(boots: readonly Seen[], nowMs: number): readonly Seen[] => {
      const before = heard
      heard = new Map()
      return boots.filter((boot) => {
        const name = `${boot.node}/${boot.boot}`
        const known = before.get(name)
        const seenAt = Number(boot.seen_at)
        const since = known?.seenAt === seenAt ? known : { seenAt, sinceMs: nowMs }
        heard.set(name, since)
        return nowMs - since.sinceMs >= silentMs
      })
    },
    forget: () => heard.clear(),
  }
}

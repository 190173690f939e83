import { randomFor } from '../data/random.ts'
import type { Key } from './subscriptions.ts'

/** One notification on its way to one subscription. */
export type Delivery = {
  readonly id: number
  readonly to: Key
  readonly form: Readonly<Record<string, string | number>>
  /** How often it was tried. */
  readonly tries: number
  /** When the next try is due; epoch seconds. */
  readonly dueAt: number
}

const MINUTE = 60
const HOUR = 3600

/** Two tries each; seconds since the two before, and how many more chance adds. */
const pairs = [
  { wait: 0, least: 0, most: 0 },
  { wait: 10, least: 0, most: 0 },
  { wait: MINUTE, least: 1 * MINUTE, most: 10 * MINUTE },
  { wait: HOUR, least: 2 * MINUTE, most: 20 * MINUTE },
  { wait: 4 * HOUR, least: 3 * MINUTE, most: 30 * MINUTE },
] as const

/**
 * The delivery after a try that failed, or null after the tenth.
 *
 * It counts from when that try was due, so that a clock that jumps ahead makes up for all tries that
 * it passed. Source: Withings developer guide, "Notifications - Overview".
 */
export function afterFailure(delivery: Delivery, seed: string): Delivery | null {
  const tries = delivery.tries + 1
  const pair = pairs[Math.floor(tries / 2)]
  if (pair === undefined) return null
  if (tries % 2 === 1) return { ...delivery, tries }
  const extra = randomFor(seed, `delivery ${delivery.id}`, tries).whole(pair.least, pair.most)
  return { ...delivery, tries, dueAt: delivery.dueAt + pair.wait + extra }
}

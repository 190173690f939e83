import { randomFor } from '../random.ts'
import { type Night, type Segment, stages } from './night.ts'

/**
 * Seconds between two values. So close, a whole night with every signal is as large as the largest
 * answer that was recorded of the live service: 0.6 MB.
 */
export const SIGNAL_SECONDS = 6

/** A series of values by epoch second. */
type Signal = Readonly<Record<string, number>>

type Moment = {
  readonly night: Night
  readonly segment: Segment
  readonly random: ReturnType<typeof randomFor>
}

const signals = {
  hr: ({ night, segment, random }: Moment) =>
    Math.round(night.hr + lift[segment.state] + random.normal(0, 1.5)),
  rr: ({ night, random }: Moment) => Math.round(night.rr + random.normal(0, 0.7)),
  snoring: ({ night, random }: Moment) =>
    random.chance(night.snoring) ? random.whole(20, 100) : 0,
  sdnn_1: ({ random }: Moment) => random.whole(38, 82),
  rmssd: ({ random }: Moment) => random.whole(28, 64),
  mvt_score: ({ segment, random }: Moment) =>
    segment.state === stages.awake ? random.whole(20, 120) : random.whole(0, 8),
  hrv_quality: ({ random }: Moment) => random.whole(60, 100),
  chest_movement_rate: ({ night, random }: Moment) => Math.round(night.rr + random.normal(0, 1)),
  withings_index: ({ random }: Moment) => (random.chance(0.02) ? random.whole(1, 15) : 0),
  breathing_sounds: ({ night, random }: Moment) =>
    random.chance(night.snoring) ? random.whole(1, 30) : 0,
} as const

/** How many beats a minute a stage lies above the night's resting rate. */
const lift = { 0: 9, 1: 3, 2: 0, 3: 5 } as const

export type SignalName = keyof typeof signals

export function isSignalName(name: string): name is SignalName {
  return Object.hasOwn(signals, name)
}

/** The signal over one whole segment. */
export function signalOf(seed: string, name: SignalName, where: Omit<Moment, 'random'>): Signal {
  const { start, end } = where.segment
  const length = (end - start) / SIGNAL_SECONDS
  const times = Array.from({ length }, (_, index) => start + index * SIGNAL_SECONDS)
  const random = randomFor(seed, `sleep ${name}`, start)
  return Object.fromEntries(times.map((at) => [at, signals[name]({ ...where, random })]))
}

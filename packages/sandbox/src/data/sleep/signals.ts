import { randomFor } from '../random.ts'
import { type Night, type Segment, stages } from './night.ts'

/** A series of one value a minute, by epoch second. */
type Signal = Readonly<Record<string, number>>

type Minute = {
  readonly night: Night
  readonly segment: Segment
  readonly random: ReturnType<typeof randomFor>
}

const signals = {
  hr: ({ night, segment, random }: Minute) =>
    Math.round(night.hr + lift[segment.state] + random.normal(0, 1.5)),
  rr: ({ night, random }: Minute) => Math.round(night.rr + random.normal(0, 0.7)),
  snoring: ({ night, random }: Minute) =>
    random.chance(night.snoring) ? random.whole(20, 100) : 0,
  sdnn_1: ({ random }: Minute) => random.whole(38, 82),
  rmssd: ({ random }: Minute) => random.whole(28, 64),
  mvt_score: ({ segment, random }: Minute) =>
    segment.state === stages.awake ? random.whole(20, 120) : random.whole(0, 8),
} as const

/** How many beats a minute a stage lies above the night's resting rate. */
const lift = { 0: 9, 1: 3, 2: 0, 3: 5 } as const

export type SignalName = keyof typeof signals

export function isSignalName(name: string): name is SignalName {
  return Object.hasOwn(signals, name)
}

/** The signal over one whole segment. */
export function signalOf(seed: string, name: SignalName, where: Omit<Minute, 'random'>): Signal {
  const { start, end } = where.segment
  const times = Array.from({ length: (end - start) / 60 }, (_, minute) => start + minute * 60)
  const random = randomFor(seed, `sleep ${name}`, start)
  return Object.fromEntries(times.map((at) => [at, signals[name]({ ...where, random })]))
}

import { dayOf, daySeconds, everyDay } from '../calendar.ts'
import { type Happening, happened, type Life } from '../happening.ts'
import { type Random, randomFor } from '../random.ts'

/** The provider's states. Source: "Sleep v2 - Get". */
export const stages = { awake: 0, light: 1, deep: 2, rem: 3 } as const

export type Stage = (typeof stages)[keyof typeof stages]

export type Segment = { readonly state: Stage; readonly start: number; readonly end: number }

/** One night in bed, or a nap. Times are epoch seconds, whole minutes. */
export type Night = {
  readonly id: number
  /** Of waking up. */
  readonly day: number
  readonly start: number
  readonly end: number
  readonly segments: readonly Segment[]
  /** Beats and breaths per minute at rest. */
  readonly hr: number
  readonly rr: number
  /** 0 for a quiet night, 1 for one full of snoring. */
  readonly snoring: number
}

/** The nights and naps whose data has arrived by now, oldest first. */
export function nights(life: Life, now: number): readonly Night[] {
  const { seed } = life
  const usual = usualNights(seed, now).filter((it) => arrival(it) <= now)
  return [...usual, ...naps(life, now)].sort((a, b) => a.start - b.start)
}

const usualNights = everyDay(night)

/** When the mat has uploaded a night. */
export function arrival({ end }: Night): number {
  return end + UPLOAD_SECONDS
}

export function night(seed: string, day: number): Night | null {
  const random = randomFor(seed, 'night', day)
  if (random.chance(0.04)) return null
  const start = day * daySeconds - random.whole(10, 90) * 60
  const segments = join(start, minutesByStage(random))
  return { id: firstId + day, day, ...spanOf(segments, start), ...resting(random) }
}

export function naps(life: Life, now: number): readonly Night[] {
  return happened(life, { kind: 'sleep', now }, (it) => nap(life.seed, it))
}

/** An hour in bed whose data has arrived at `at`. */
export function nap(seed: string, { id, at }: Pick<Happening, 'id' | 'at'>): Night {
  const end = Math.floor((at - UPLOAD_SECONDS) / 60) * 60
  const minutes = napStages.reduce((sum, [, length]) => sum + length, 0)
  const start = end - minutes * 60
  const segments = join(start, napStages)
  const random = randomFor(seed, 'nap', id)
  return { id: firstNapId + id, day: dayOf(end), ...spanOf(segments, start), ...resting(random) }
}

const UPLOAD_SECONDS = 420
const firstId = 2_000_000_000
const firstNapId = 2_100_000_000

const napStages: readonly (readonly [Stage, number])[] = [
  [stages.awake, 6],
  [stages.light, 20],
  [stages.deep, 14],
  [stages.light, 9],
  [stages.rem, 8],
  [stages.awake, 3],
]

function spanOf(segments: readonly Segment[], start: number) {
  return { start, end: segments.at(-1)?.end ?? start, segments }
}

function resting(random: Random): Pick<Night, 'hr' | 'rr' | 'snoring'> {
  return {
    hr: Math.round(random.normal(56, 3)),
    rr: Math.round(random.normal(14, 1)),
    snoring: random.chance(0.35) ? random.between(0.02, 0.2) : 0,
  }
}

/** Falls asleep, goes through cycles with less deep sleep and more REM each time, wakes up. */
function minutesByStage(random: Random): readonly [Stage, number][] {
  const minutes: [Stage, number][] = [[stages.awake, random.whole(4, 22)]]
  const cycles = random.whole(4, 5)
  for (let cycle = 0; cycle < cycles; cycle += 1) {
    minutes.push([stages.light, random.whole(18, 30)])
    minutes.push([stages.deep, Math.max(4, random.whole(28, 42) - cycle * 9)])
    minutes.push([stages.light, random.whole(14, 26)])
    minutes.push([stages.rem, random.whole(7, 13) + cycle * 6])
    if (random.chance(0.85)) minutes.push([stages.awake, random.whole(1, 9)])
  }
  minutes.push([stages.awake, random.whole(1, 16)])
  return minutes
}

function join(start: number, minutes: readonly (readonly [Stage, number])[]): readonly Segment[] {
  let at = start
  return minutes.map(([state, length]) => {
    const segment = { state, start: at, end: at + length * 60 }
    at = segment.end
    return segment
  })
}

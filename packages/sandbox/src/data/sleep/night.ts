import { collect, daySeconds } from '../calendar.ts'
import { randomFor } from '../random.ts'

/** The provider's states. Source: "Sleep v2 - Get". */
export const stages = { awake: 0, light: 1, deep: 2, rem: 3 } as const

export type Stage = (typeof stages)[keyof typeof stages]

export type Segment = { readonly state: Stage; readonly start: number; readonly end: number }

/** One night in bed, named by the day of waking up. Times are epoch seconds, whole minutes. */
export type Night = {
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

/** The nights whose data has arrived by now, oldest first. */
export function nights(seed: string, now: number): readonly Night[] {
  return collect(now, (day) => night(seed, day)).filter((it) => arrival(it) <= now)
}

/** When the mat has uploaded a night. */
export function arrival({ end }: Night): number {
  return end + 420
}

export function night(seed: string, day: number): Night | null {
  const random = randomFor(seed, 'night', day)
  if (random.chance(0.04)) return null
  const start = day * daySeconds - random.whole(10, 90) * 60
  const segments = join(start, minutesByStage(random))
  return {
    day,
    start,
    end: segments.at(-1)?.end ?? start,
    segments,
    hr: Math.round(random.normal(56, 3)),
    rr: Math.round(random.normal(14, 1)),
    snoring: random.chance(0.35) ? random.between(0.02, 0.2) : 0,
  }
}

/** Falls asleep, goes through cycles with less deep sleep and more REM each time, wakes up. */
function minutesByStage(random: ReturnType<typeof randomFor>): readonly [Stage, number][] {
  const minutes: [Stage, number][] = [[stages.awake, random.whole(4, 22)]]
  const cycles = random.whole(4, 5)
  for (let cycle = 0; cycle < cycles; cycle += 1) {
    minutes.push([stages.light, random.whole(18, 30)])
    minutes.push([stages.deep, Math.max(4, random.whole(28, 42) - cycle * 9)])
    minutes.push([stages.light, random.whole(14, 26)])
    minutes.push([stages.rem, random.whole(7, 13) + cycle * 6])
    if (random.chance(0.3)) minutes.push([stages.awake, random.whole(1, 9)])
  }
  minutes.push([stages.awake, random.whole(1, 16)])
  return minutes
}

function join(start: number, minutes: readonly [Stage, number][]): readonly Segment[] {
  let at = start
  return minutes.map(([state, length]) => {
    const segment = { state, start: at, end: at + length * 60 }
    at = segment.end
    return segment
  })
}

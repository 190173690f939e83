import { dayOf, daySeconds, everyDay, timezone, ymdOf } from './calendar.ts'
import { deviceId, devices } from './devices.ts'
import { type Happening, happened, type Life } from './happening.ts'
import { fitness } from './person.ts'
import { type Random, randomFor } from './random.ts'

/** A kind of sport: the provider's category, metres and steps a second, kilocalories a minute. */
const sports = [
  { category: 1, speed: 1.4, cadence: 1.8, burn: 4.5 },
  { category: 2, speed: 2.9, cadence: 2.7, burn: 11 },
  { category: 6, speed: 5.8, cadence: 0, burn: 8.5 },
  { category: 7, speed: 0.7, cadence: 0, burn: 8 },
  { category: 16, speed: 0, cadence: 0, burn: 5.5 },
  { category: 28, speed: 0, cadence: 0, burn: 3 },
] as const

/** The workout of a day, in the early evening, or null on the more frequent days without. */
export function workout(seed: string, day: number) {
  const random = randomFor(seed, 'workout', day)
  if (!random.chance(0.3 + 0.3 * fitness(seed, day))) return null
  const startdate = day * daySeconds + random.whole(16 * 60, 19 * 60) * 60
  const seconds = random.whole(22, 75) * 60
  return session(seed, random, { id: firstId + day, startdate, seconds })
}

/** Half an hour of sport whose data has arrived at `at`. */
export function extraWorkout(seed: string, { id, at }: Pick<Happening, 'id' | 'at'>) {
  const seconds = 1800
  const startdate = at - UPLOAD_SECONDS - seconds
  const random = randomFor(seed, 'extra workout', id)
  return session(seed, random, { id: firstExtraId + id, startdate, seconds })
}

const firstId = 3_600_000_000
const firstExtraId = 3_700_000_000
const UPLOAD_SECONDS = 120

type When = { readonly id: number; readonly startdate: number; readonly seconds: number }

function session(seed: string, random: Random, { id, startdate, seconds }: When) {
  const sport = random.pick(sports)
  const hrAverage = Math.round(random.normal(80 + sport.burn * 5.5, 4))
  return {
    id,
    category: sport.category,
    timezone,
    model: devices.watch.modelId,
    attrib: 0,
    startdate,
    enddate: startdate + seconds,
    date: ymdOf(dayOf(startdate)),
    deviceid: deviceId(seed, devices.watch),
    data: {
      calories: Math.round((sport.burn * seconds) / 60),
      intensity: Math.min(100, Math.round(sport.burn * 7)),
      manual_distance: 0,
      manual_calories: 0,
      hr_average: hrAverage,
      hr_min: hrAverage - random.whole(18, 30),
      hr_max: hrAverage + random.whole(14, 32),
      hr_zone_0: Math.round(seconds * 0.2),
      hr_zone_1: Math.round(seconds * 0.4),
      hr_zone_2: Math.round(seconds * 0.3),
      hr_zone_3: Math.round(seconds * 0.1),
      pause_duration: random.whole(0, 4) * 30,
      steps: Math.round(seconds * sport.cadence),
      distance: Math.round(seconds * sport.speed),
      elevation: sport.speed > 0 ? random.whole(0, 40) : 0,
      algo_pause_duration: null,
      spo2_average: random.whole(95, 98),
    },
    modified: startdate + seconds + UPLOAD_SECONDS,
  }
}

const usualWorkouts = everyDay(workout)

/** Every workout that has arrived by now, oldest first. */
export function workouts(life: Life, now: number) {
  const { seed } = life
  const usual = usualWorkouts(seed, now).filter((it) => it.modified <= now)
  const extra = happened(life, { kind: 'workout', now }, (it) => extraWorkout(seed, it))
  return [...usual, ...extra].sort((a, b) => a.startdate - b.startdate)
}

import { collect, daySeconds, timezone, ymdOf } from './calendar.ts'
import { deviceId, devices } from './devices.ts'
import { fitness } from './person.ts'
import { randomFor } from './random.ts'

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
  const sport = random.pick(sports)
  const startdate = day * daySeconds + random.whole(16 * 60, 19 * 60) * 60
  const seconds = random.whole(22, 75) * 60
  const hrAverage = Math.round(random.normal(80 + sport.burn * 5.5, 4))
  return {
    id: 3_600_000_000 + day,
    category: sport.category,
    timezone,
    model: devices.watch.modelId,
    attrib: 0,
    startdate,
    enddate: startdate + seconds,
    date: ymdOf(day),
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
    modified: startdate + seconds + 120,
  }
}

/** Every workout that has arrived by now, oldest first. */
export function workouts(seed: string, now: number) {
  return collect(now, (day) => workout(seed, day)).filter((it) => it.modified <= now)
}

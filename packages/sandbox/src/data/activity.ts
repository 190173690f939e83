import { collect, dayOf, daySeconds, hourSeconds, timezone, ymdOf } from './calendar.ts'
import { deviceId, devices } from './devices.ts'
import { fitness } from './person.ts'
import { randomFor } from './random.ts'
import { workout } from './workouts.ts'

/** One day's totals; metres, seconds, kilocalories. Today's grow with every full hour. */
export function activityDay(seed: string, day: number, now: number) {
  const modified = Math.min((day + 1) * daySeconds, Math.floor(now / hourSeconds) * hourSeconds)
  const share = awakeShare(modified - day * daySeconds)
  if (share <= 0) return null
  const random = randomFor(seed, 'activity', day)
  const exercise = workout(seed, day)
  const whole = wholeDay(random, fitness(seed, day), exercise?.data ?? noExercise)
  const part = (value: number) => Math.round(value * share)
  const id = deviceId(seed, devices.watch)
  return {
    steps: part(whole.steps),
    distance: part(whole.steps * 0.762),
    elevation: part(whole.elevation),
    soft: part(whole.soft),
    moderate: part(whole.moderate),
    intense: part(whole.intense),
    active: part(whole.moderate) + part(whole.intense),
    calories: part(whole.calories),
    totalcalories: part(whole.calories + 1720),
    hr_average: whole.hrAverage,
    hr_min: whole.hrAverage - 18,
    hr_max: whole.hrAverage + 58,
    hr_zone_0: part(whole.soft * 1.4),
    hr_zone_1: part(whole.moderate),
    hr_zone_2: part(whole.intense),
    hr_zone_3: part(whole.intense * 0.2),
    deviceid: id,
    hash_deviceid: id,
    timezone,
    date: ymdOf(day),
    modified,
    brand: 1,
    modelid: devices.watch.modelId,
    model: devices.watch.model,
    is_tracker: true,
  }
}

/** Every day of the two years, oldest first. */
export function activityDays(seed: string, now: number) {
  return collect(now, (day) => activityDay(seed, day, now))
}

/** Ten-minute slots between two moments, by their epoch second; gaps where nothing happened. */
export function intradayActivity(seed: string, span: { start: number; end: number }) {
  const series: [number, Slot][] = []
  for (let slot = Math.ceil(span.start / 600) * 600; slot <= span.end; slot += 600) {
    const found = slotAt(seed, slot)
    if (found !== null) series.push([slot, found])
  }
  return series
}

function slotAt(seed: string, start: number) {
  const ofDay = start % daySeconds
  if (ofDay < firstHour * hourSeconds || ofDay >= lastHour * hourSeconds) return null
  const random = randomFor(seed, 'slot', start / 600)
  if (!random.chance(0.7)) return null
  const day = activityDay(seed, dayOf(start), start + 2 * daySeconds)
  const steps = Math.round(((day?.steps ?? 0) / 67) * random.between(0.2, 1.8))
  return {
    steps,
    duration: 600,
    distance: Math.round(steps * 0.762),
    elevation: random.chance(0.1) ? random.whole(1, 6) : 0,
    calories: Math.round(steps * 0.04),
    heart_rate: random.whole(62, 78) + Math.round(steps / 40),
    spo2_auto: random.whole(95, 99),
  }
}

type Slot = NonNullable<ReturnType<typeof slotAt>>

function wholeDay(random: ReturnType<typeof randomFor>, fit: number, exercise: Exercise) {
  const steps = Math.max(900, Math.round(random.normal(5200 + 4200 * fit, 1900))) + exercise.steps
  const moderate = random.whole(10, 40) * 60 + Math.round(exercise.calories * 3)
  return {
    steps,
    elevation: random.whole(0, 60),
    soft: random.whole(60, 150) * 60,
    moderate,
    intense: exercise.calories * 4,
    calories: (steps - exercise.steps) * 0.04 + exercise.calories,
    hrAverage: Math.round(78 - 10 * fit + random.normal(0, 2)),
  }
}

type Exercise = { readonly steps: number; readonly calories: number }

const noExercise: Exercise = { steps: 0, calories: 0 }

const firstHour = 7
const lastHour = 23

/** How much of the waking day lies behind, 0 to 1. */
function awakeShare(seconds: number): number {
  return Math.min(1, (seconds / hourSeconds - firstHour) / (lastHour - firstHour))
}

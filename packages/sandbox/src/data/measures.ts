import type { Json } from '../answer.ts'
import { collect, daySeconds, history } from './calendar.ts'
import { type Device, deviceId, devices } from './devices.ts'
import { heightMetres, weightTrend } from './person.ts'
import { randomFor } from './random.ts'

/** The real value is `value × 10^unit`. */
export type Measure = {
  readonly value: number
  readonly type: number
  readonly unit: number
  readonly algo?: number
  readonly fm?: number
}

/** One sitting at one device. `category` 1 is measured, 2 is a goal. */
export type MeasureGroup = {
  readonly grpid: number
  readonly attrib: number
  readonly date: number
  readonly created: number
  readonly modified: number
  readonly category: 1 | 2
  readonly deviceid: string | null
  readonly hash_deviceid: string | null
  readonly measures: readonly Measure[]
  readonly modelid: number | null
  readonly model: string | null
  readonly comment: Json
}

/** Every group of the two years that has arrived by now, newest first. */
export function measureGroups(seed: string, now: number): readonly MeasureGroup[] {
  const measured = collect(now, (day) => [bodyGroup(seed, day), pressureGroup(seed, day)])
  return [...signUpGroups(seed, history(now).first), ...measured.flat()]
    .filter((group) => group !== null)
    .filter((group) => group.modified <= now)
    .sort((a, b) => b.date - a.date)
}

/** Weight and body composition, most mornings. */
function bodyGroup(seed: string, day: number): MeasureGroup | null {
  const random = randomFor(seed, 'body', day)
  if (!random.chance(0.86)) return null
  const date = day * daySeconds + random.whole(6 * 3600, 8 * 3600)
  const weight = weightTrend(seed, day) + random.normal(0, 0.3)
  const fat = 0.2 + (weight - 78) * 0.008 + random.normal(0, 0.003)
  const lean = weight * (1 - fat)
  const muscle = lean * 0.95
  const measures = [
    measure(1, weight, -3),
    measure(5, lean, -2),
    measure(6, fat * 100, -3),
    measure(8, weight * fat, -2),
    measure(76, muscle, -2),
    measure(77, weight * (0.545 + random.normal(0, 0.004)), -2),
    measure(88, lean - muscle, -2),
  ].map((it) => ({ ...it, algo: 3, fm: 3 }))
  // Now and then the scale does not know whether it was this person: see `confirmuser`.
  const attrib = random.chance(0.02) ? 1 : 0
  return group(seed, { kind: 0, day, date, attrib, device: devices.scale, measures })
}

/** Blood pressure and pulse, on Sundays. */
function pressureGroup(seed: string, day: number): MeasureGroup | null {
  const sunday = 3
  if (day % 7 !== sunday) return null
  const { systole, diastole, pulse, date } = pressureOf(seed, day)
  const measures = [measure(9, diastole, 0), measure(10, systole, 0), measure(11, pulse, 0)].map(
    (it) => ({ ...it, algo: 0, fm: 3 }),
  )
  return group(seed, { kind: 1, day, date, attrib: 0, device: devices.bloodPressure, measures })
}

/** mmHg and beats per minute as the cuff would read them that evening. */
export function pressureOf(seed: string, day: number) {
  const random = randomFor(seed, 'pressure', day)
  const systole = Math.round(random.normal(122, 6))
  return {
    date: day * daySeconds + random.whole(18 * 3600, 21 * 3600),
    systole,
    diastole: Math.round(systole * 0.64 + random.normal(0, 3)),
    pulse: Math.round(random.normal(66, 5)),
  }
}

/** What was typed in when the account was made: height, and the weight to reach. */
function signUpGroups(seed: string, day: number): readonly MeasureGroup[] {
  const date = day * daySeconds
  const manual = { day, date, device: null, attrib: 4 }
  return [
    group(seed, { ...manual, kind: 2, measures: [measure(4, heightMetres, -3)] }),
    {
      ...group(seed, { ...manual, kind: 3, measures: [measure(1, goalKilograms, -3)] }),
      category: 2,
    },
  ]
}

/** The weight the person wants to reach. */
export const goalKilograms = 74

const firstId = 3_000_000_000

type Sitting = {
  readonly kind: 0 | 1 | 2 | 3
  readonly day: number
  readonly date: number
  readonly attrib: number
  readonly device: Device | null
  readonly measures: readonly Measure[]
}

function group(seed: string, sitting: Sitting): MeasureGroup {
  const { kind, day, date, attrib, device, measures } = sitting
  const id = device === null ? null : deviceId(seed, device)
  const arrived = date + (device === null ? 0 : 30)
  return {
    grpid: firstId + day * 10 + kind,
    attrib,
    date,
    created: arrived,
    modified: arrived,
    category: 1,
    deviceid: id,
    hash_deviceid: id,
    measures,
    modelid: device?.modelId ?? null,
    model: device?.model ?? null,
    comment: null,
  }
}

function measure(type: number, real: number, unit: number): Measure {
  return { value: Math.round(real * 10 ** -unit), type, unit }
}

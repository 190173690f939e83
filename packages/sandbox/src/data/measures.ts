import type { Json } from '../answer.ts'
import { dayOf, daySeconds, everyDay, history } from './calendar.ts'
import { type Device, deviceId, devices } from './devices.ts'
import { type Happening, happened, type Life } from './happening.ts'
import { heightMetres, weightTrend } from './person.ts'
import { type Random, randomFor } from './random.ts'

const UPLOAD_SECONDS = 30

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
export function measureGroups(life: Life, now: number): readonly MeasureGroup[] {
  const { seed } = life
  const measured = [...bodyGroups(seed, now), ...pressureGroups(seed, now)]
  return [...signUpGroups(seed, history(now).first), ...measured, ...extraGroups(life, now)]
    .filter((group) => group.modified <= now)
    .sort((a, b) => b.date - a.date)
}

const bodyGroups = everyDay(bodyGroup)
const pressureGroups = everyDay(pressureGroup)

/** When the scale or the cuff was used, for what has arrived at `at`. */
export function dateOfExtra(at: number): number {
  return at - UPLOAD_SECONDS
}

function extraGroups(life: Life, now: number): readonly MeasureGroup[] {
  const { seed } = life
  const sittingOf = ({ id, at }: Happening) => ({
    grpid: firstExtraId + id,
    date: dateOfExtra(at),
    attrib: 0,
  })
  return [
    ...happened(life, { kind: 'weight', now }, (it) => {
      const random = randomFor(seed, 'extra weight', it.id)
      const measures = bodyMeasures(seed, dayOf(it.at), random)
      return group(seed, { ...sittingOf(it), device: devices.scale, measures })
    }),
    ...happened(life, { kind: 'blood_pressure', now }, (it) => {
      const measures = pressureMeasures(reading(randomFor(seed, 'extra pressure', it.id)))
      return group(seed, { ...sittingOf(it), device: devices.bloodPressure, measures })
    }),
  ]
}

/** Weight and body composition, most mornings. */
function bodyGroup(seed: string, day: number): MeasureGroup | null {
  const random = randomFor(seed, 'body', day)
  if (!random.chance(0.86)) return null
  const date = day * daySeconds + random.whole(6 * 3600, 8 * 3600)
  const measures = bodyMeasures(seed, day, random)
  // Now and then the scale does not know whether it was this person: see `confirmuser`.
  const attrib = random.chance(0.02) ? 1 : 0
  return group(seed, { grpid: idOf(day, 0), date, attrib, device: devices.scale, measures })
}

function bodyMeasures(seed: string, day: number, random: Random): readonly Measure[] {
  const weight = weightTrend(seed, day) + random.normal(0, 0.3)
  const fat = 0.2 + (weight - 78) * 0.008 + random.normal(0, 0.003)
  const lean = weight * (1 - fat)
  const muscle = lean * 0.95
  return [
    measure(1, weight, -3),
    measure(5, lean, -2),
    measure(6, fat * 100, -3),
    measure(8, weight * fat, -2),
    measure(76, muscle, -2),
    measure(77, weight * (0.545 + random.normal(0, 0.004)), -2),
    measure(88, lean - muscle, -2),
  ].map((it) => ({ ...it, algo: 3, fm: 3 }))
}

/** Blood pressure and pulse, on Sundays. */
function pressureGroup(seed: string, day: number): MeasureGroup | null {
  const sunday = 3
  if (day % 7 !== sunday) return null
  const { date, ...read } = pressureOf(seed, day)
  const measures = pressureMeasures(read)
  return group(seed, {
    ...{ grpid: idOf(day, 1), date, attrib: 0 },
    ...{ device: devices.bloodPressure, measures },
  })
}

function pressureMeasures({ systole, diastole, pulse }: Reading): readonly Measure[] {
  return [measure(9, diastole, 0), measure(10, systole, 0), measure(11, pulse, 0)].map((it) => ({
    ...it,
    algo: 0,
    fm: 3,
  }))
}

/** mmHg and beats per minute as the cuff would read them that evening. */
export function pressureOf(seed: string, day: number) {
  const random = randomFor(seed, 'pressure', day)
  return {
    ...reading(random),
    date: day * daySeconds + random.whole(18 * 3600, 21 * 3600),
  }
}

type Reading = ReturnType<typeof reading>

function reading(random: Random) {
  const systole = Math.round(random.normal(122, 6))
  return {
    systole,
    diastole: Math.round(systole * 0.64 + random.normal(0, 3)),
    pulse: Math.round(random.normal(66, 5)),
  }
}

/** What was typed in when the account was made: height, and the weight to reach. */
function signUpGroups(seed: string, day: number): readonly MeasureGroup[] {
  const date = day * daySeconds
  const manual = { date, device: null, attrib: 4 }
  const height = [measure(4, heightMetres, -3)]
  const goal = [measure(1, goalKilograms, -3)]
  return [
    group(seed, { ...manual, grpid: idOf(day, 2), measures: height }),
    {
      ...group(seed, { ...manual, grpid: idOf(day, 3), measures: goal }),
      category: 2,
    },
  ]
}

/** The weight the person wants to reach. */
export const goalKilograms = 74

const firstId = 3_000_000_000
const firstExtraId = 3_900_000_000

/** Four kinds of groups a day have ids of their own. */
function idOf(day: number, kind: 0 | 1 | 2 | 3): number {
  return firstId + day * 10 + kind
}

type Sitting = {
  readonly grpid: number
  readonly date: number
  readonly attrib: number
  readonly device: Device | null
  readonly measures: readonly Measure[]
}

function group(seed: string, sitting: Sitting): MeasureGroup {
  const { grpid, date, attrib, device, measures } = sitting
  const id = device === null ? null : deviceId(seed, device)
  const arrived = date + (device === null ? 0 : UPLOAD_SECONDS)
  return {
    grpid,
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

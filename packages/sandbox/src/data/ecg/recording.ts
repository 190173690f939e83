import { daySeconds, everyDay } from '../calendar.ts'
import { type Device, devices } from '../devices.ts'
import { type Happening, happened, type Life } from '../happening.ts'
import { pressureOf } from '../measures.ts'
import { type Random, randomFor } from '../random.ts'

/** The provider's classes: 0 sinus rhythm, 1 atrial fibrillation, 2 inconclusive. */
export type AfibClass = 0 | 1 | 2

export type Ecg = {
  readonly signalId: number
  readonly device: Device
  /** Where it was worn: 1 left wrist, 3 left arm. */
  readonly wearPosition: 1 | 3
  readonly samplesPerSecond: 500 | 300
  readonly seconds: 20 | 30
  readonly timestamp: number
  readonly heartRate: number
  readonly afib: AfibClass
  readonly bloodPressure: { readonly systole: number; readonly diastole: number } | null
}

/** About twenty recordings over the two years, newest first. */
export function ecgs(life: Life, now: number): readonly Ecg[] {
  const { seed } = life
  const usual = usualEcgs(seed, now).filter(({ timestamp, seconds }) => timestamp + seconds <= now)
  const extra = happened(life, { kind: 'ecg', now }, (it) => extraEcg(seed, it))
  return [...usual, ...extra].sort((a, b) => b.timestamp - a.timestamp)
}

const usualEcgs = everyDay(ecg)

/** By id. Null when there is no such recording, or not yet. */
export function ecgById(life: Life, now: number, signalId: number): Ecg | null {
  return ecgs(life, now).find((it) => it.signalId === signalId) ?? null
}

/** A recording of the watch that has arrived at `at`. */
export function extraEcg(seed: string, { id, at }: Pick<Happening, 'id' | 'at'>): Ecg {
  const random = randomFor(seed, 'extra ecg', id)
  const timestamp = at - worn.seconds
  return { ...worn, ...heart(random), signalId: firstExtraId + id, timestamp, bloodPressure: null }
}

const firstId = 90_000_000
const firstExtraId = 91_000_000

/** How the watch records. */
const worn = {
  device: devices.watch,
  wearPosition: 1,
  samplesPerSecond: 300,
  seconds: 30,
} as const

/** One every five weeks: every other one with the cuff, on a Sunday when it is used anyway. */
function ecg(seed: string, day: number): Ecg | null {
  const sundayOfFive = 3
  if (day % 35 !== sundayOfFive) return null
  const random = randomFor(seed, 'ecg', day)
  const signalId = firstId + day
  if (day % 70 === sundayOfFive) {
    const { date, systole, diastole, pulse } = pressureOf(seed, day)
    const cuff = { device: devices.bloodPressure, wearPosition: 3 } as const
    const rate = { samplesPerSecond: 500, seconds: 20 } as const
    const read = { timestamp: date, heartRate: pulse, bloodPressure: { systole, diastole } }
    return { ...cuff, ...rate, ...read, signalId, afib: pickClass(random) }
  }
  const timestamp = day * daySeconds + random.whole(9 * 3600, 20 * 3600)
  return { ...worn, ...heart(random), signalId, timestamp, bloodPressure: null }
}

function heart(random: Random): Pick<Ecg, 'afib' | 'heartRate'> {
  const afib = pickClass(random)
  return { afib, heartRate: Math.round(random.normal(afib === 1 ? 92 : 67, 5)) }
}

function pickClass(random: Random): AfibClass {
  if (random.chance(0.1)) return 1
  return random.chance(0.1) ? 2 : 0
}

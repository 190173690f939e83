import { collect, daySeconds } from '../calendar.ts'
import { type Device, devices } from '../devices.ts'
import { pressureOf } from '../measures.ts'
import { randomFor } from '../random.ts'

/** The provider's classes: 0 sinus rhythm, 1 atrial fibrillation, 2 inconclusive. */
export type AfibClass = 0 | 1 | 2

export type Ecg = {
  readonly day: number
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
export function ecgs(seed: string, now: number): readonly Ecg[] {
  return collect(now, (day) => ecg(seed, day))
    .filter(({ timestamp, seconds }) => timestamp + seconds <= now)
    .reverse()
}

/** By id. Null when there is no such recording, or not yet. */
export function ecgById(seed: string, now: number, signalId: number): Ecg | null {
  return ecgs(seed, now).find((it) => it.signalId === signalId) ?? null
}

/** One every five weeks: every other one with the cuff, on a Sunday when it is used anyway. */
function ecg(seed: string, day: number): Ecg | null {
  const sundayOfFive = 3
  if (day % 35 !== sundayOfFive) return null
  const random = randomFor(seed, 'ecg', day)
  const afib = pickClass(random)
  const base = { day, signalId: 90_000_000 + day, afib }
  if (day % 70 === sundayOfFive) {
    const { date, systole, diastole, pulse } = pressureOf(seed, day)
    const cuff = { device: devices.bloodPressure, wearPosition: 3 } as const
    const rate = { samplesPerSecond: 500, seconds: 20 } as const
    const bloodPressure = { systole, diastole }
    return { ...base, ...cuff, ...rate, timestamp: date, heartRate: pulse, bloodPressure }
  }
  const timestamp = day * daySeconds + random.whole(9 * 3600, 20 * 3600)
  const heartRate = Math.round(random.normal(afib === 1 ? 92 : 67, 5))
  const watch = { device: devices.watch, wearPosition: 1 } as const
  const rate = { samplesPerSecond: 300, seconds: 30 } as const
  return { ...base, ...watch, ...rate, timestamp, heartRate, bloodPressure: null }
}

function pickClass(random: ReturnType<typeof randomFor>): AfibClass {
  if (random.chance(0.1)) return 1
  return random.chance(0.1) ? 2 : 0
}

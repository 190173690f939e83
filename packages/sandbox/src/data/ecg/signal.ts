import { randomFor } from '../random.ts'
import type { Ecg } from './recording.ts'

/** One wave of a heartbeat: seconds from the R peak, width in seconds, height in microvolts. */
type Wave = { readonly at: number; readonly width: number; readonly height: number }

const atrial: Wave = { at: -0.17, width: 0.024, height: 110 }
const ventricular: readonly Wave[] = [
  { at: -0.026, width: 0.009, height: -120 },
  { at: 0, width: 0.011, height: 1050 },
  { at: 0.028, width: 0.01, height: -230 },
  { at: 0.26, width: 0.045, height: 270 },
]

/**
 * The recording as whole microvolts: 10 000 samples at 500 Hz, 9 000 at 300 Hz.
 *
 * In atrial fibrillation the beats come irregularly, and a flutter takes the place of the P wave.
 */
export function ecgSignal(seed: string, ecg: Ecg): readonly number[] {
  const random = randomFor(seed, 'ecg signal', ecg.signalId)
  const samples = new Float64Array(ecg.samplesPerSecond * ecg.seconds)
  const isFibrillating = ecg.afib === 1
  const waves = isFibrillating ? ventricular : [atrial, ...ventricular]
  const jitter = isFibrillating ? 0.19 : 0.025
  const interval = 60 / ecg.heartRate
  for (let beat = random.between(0, interval); beat < ecg.seconds + 0.5; ) {
    for (const wave of waves)
      addWave(samples, ecg.samplesPerSecond, { ...wave, at: beat + wave.at })
    beat += Math.max(0.3, interval * random.normal(1, jitter))
  }
  const noise = ecg.afib === 2 ? 60 : 12
  return Array.from(samples, (value, index) => {
    const seconds = index / ecg.samplesPerSecond
    const wander = 40 * Math.sin(2 * Math.PI * 0.22 * seconds)
    const flutter = isFibrillating ? 35 * Math.sin(2 * Math.PI * 6.3 * seconds) : 0
    return Math.round(value + wander + flutter + random.normal(0, noise))
  })
}

/** Adds a bell curve around `at` seconds. */
function addWave(samples: Float64Array, rate: number, { at, width, height }: Wave): void {
  const from = Math.max(0, Math.floor((at - 4 * width) * rate))
  const to = Math.min(samples.length - 1, Math.ceil((at + 4 * width) * rate))
  for (let index = from; index <= to; index += 1) {
    const distance = (index / rate - at) / width
    samples[index] = (samples[index] ?? 0) + height * Math.exp(-0.5 * distance * distance)
  }
}

import { createHash } from 'node:crypto'

export type Device = {
  readonly type: string
  readonly model: string
  readonly modelId: number
  readonly battery: 'high' | 'medium' | 'low'
  readonly mac: string
}

/** The demo person's devices; types, models and model ids as the live service names them. */
export const devices = {
  scale: {
    type: 'Scale',
    model: 'Body+',
    modelId: 5,
    battery: 'high',
    mac: '00:24:e4:5a:10:01',
  },
  bloodPressure: {
    type: 'Blood Pressure Monitor',
    model: 'BPM Core',
    modelId: 44,
    battery: 'medium',
    mac: '00:24:e4:5a:10:02',
  },
  watch: {
    type: 'Activity Tracker',
    model: 'ScanWatch',
    modelId: 93,
    battery: 'medium',
    mac: '00:24:e4:5a:10:03',
  },
  // The Sleep Analyzer goes by this name on the wire.
  sleepMat: {
    type: 'Sleep Monitor',
    model: 'Aura Sensor V2',
    modelId: 63,
    battery: 'high',
    mac: '00:24:e4:5a:10:04',
  },
} as const satisfies Readonly<Record<string, Device>>

/** The id that data refers to: 40 hexadecimal digits. */
export function deviceId(seed: string, device: Device): string {
  return createHash('sha1').update(`${seed}\n${device.mac}`).digest('hex')
}

import { InvalidArgumentError } from 'commander'

const seconds = { s: 1, m: 60, h: 3600, d: 86_400 } as const

/** Seconds in `90d`, `12h`, `30m` or `45s`, for commander to parse an option with. */
export function parseDuration(text: string): number {
  const [, number, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  const factor = seconds[unit as keyof typeof seconds]
  if (number === undefined || factor === undefined) {
    throw new InvalidArgumentError('A duration is a number and a unit: 45s, 30m, 12h or 90d.')
  }
  return Number(number) * factor
}

/** In the largest unit that comes out even, as in `8 h` or `90 s`. */
export function durationText(durationSeconds: number): string {
  const units = Object.entries(seconds).toReversed()
  const [unit, factor] = units.find(([, size]) => durationSeconds % size === 0) ?? ['s', 1]
  return `${durationSeconds / factor} ${unit === 'm' ? 'min' : unit}`
}

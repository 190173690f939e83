import { randomFor } from './random.ts'

/** The person who is signed in at the consent page. */
export function signedInUserId(seed: string): number {
  return 20_000_000 + randomFor(seed, 'user', 0).whole(0, 9_999_999)
}

/** The dummy account of `mode=demo` and `getdemoaccess`: another person with another past. */
export function demoUserId(seed: string): number {
  return signedInUserId(seed) + 10_000_000
}

/** What a person's past follows from. */
export function seedOf(seed: string, userId: number): string {
  return userId === demoUserId(seed) ? `${seed}\ndemo` : seed
}

/** Slow waves around the means, so that a week looks like a trend and years stay plausible. */
export function weightTrend(seed: string, day: number): number {
  const start = randomFor(seed, 'weight trend', 0)
  const wave = (days: number) => Math.sin((2 * Math.PI * (day + start.between(0, days))) / days)
  return start.between(74, 80) + 2.8 * wave(980) + 0.9 * wave(131)
}

/** 0 on a lazy day of a lazy season, 1 on an eager one. */
export function fitness(seed: string, day: number): number {
  const start = randomFor(seed, 'fitness', 0)
  return 0.5 + 0.35 * Math.sin((2 * Math.PI * (day + start.between(0, 365))) / 365)
}

export const heightMetres = 1.78

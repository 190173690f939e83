/** The demo person lives where the local day is the UTC day all year, which keeps days exact. */
export const timezone = 'Atlantic/Reykjavik'

export const daySeconds = 86_400
export const hourSeconds = 3_600
const historyDays = 730

/** Days are counted from 1970-01-01. */
export function dayOf(epochSeconds: number): number {
  return Math.floor(epochSeconds / daySeconds)
}

export function ymdOf(day: number): string {
  return new Date(day * daySeconds * 1000).toISOString().slice(0, 10)
}

export function dayOfYmd(ymd: string): number {
  return dayOf(Date.parse(`${ymd}T00:00:00Z`) / 1000)
}

export type Days = { readonly first: number; readonly last: number }

/** The two years up to and with today. */
export function history(now: number): Days {
  return { first: dayOf(now) - historyDays, last: dayOf(now) }
}

/** What `make` gives for each day of the history, oldest first; days without anything are left out. */
export function collect<T>(now: number, make: (day: number) => T | null): readonly T[] {
  const found: T[] = []
  const { first, last } = history(now)
  for (let day = first; day <= last; day += 1) {
    const item = make(day)
    if (item !== null) found.push(item)
  }
  return found
}

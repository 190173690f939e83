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

/**
 * Like `collect`, for what follows from seed and day alone: made once and kept until the day is
 * over, since two years take milliseconds to make and every call asks for them.
 */
export function everyDay<T>(make: (seed: string, day: number) => T | null) {
  const kept = new Map<string, { readonly last: number; readonly items: readonly T[] }>()
  return (seed: string, now: number): readonly T[] => {
    const { last } = history(now)
    const known = kept.get(seed)
    if (known?.last === last) return known.items
    const items = collect(now, (day) => make(seed, day))
    kept.set(seed, { last, items })
    return items
  }
}

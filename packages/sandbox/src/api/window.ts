import { dayOfYmd } from '../data/calendar.ts'

export type Page<T> = {
  readonly items: readonly T[]
  readonly hasMore: boolean
  /** What to send as `offset` for the next page. */
  readonly next: number
}

export function pageOf<T>(items: readonly T[], offset: number, size: number): Page<T> {
  const next = offset + size
  return { items: items.slice(offset, next), hasMore: items.length > next, next }
}

/** `more` is a boolean, and the recorded `offset` counts on by the page size even at the end. */
export function paging({ hasMore, next }: Page<unknown>) {
  return { more: hasMore, offset: next }
}

/** Epoch seconds; both ends included, an absent end is open. */
export type EpochWindow = {
  readonly startdate: number | undefined
  readonly enddate: number | undefined
}

export function isWithin({ startdate = 0, enddate = Infinity }: EpochWindow, at: number): boolean {
  return at >= startdate && at <= enddate
}

/** Asked for by days, by what changed since, or both. */
export type DayWindow = {
  readonly startdateymd: string | undefined
  readonly enddateymd: string | undefined
  readonly lastupdate: number | undefined
}

/** Names the parameter that is missing: the pair of days is required unless `lastupdate` is there. */
export function missingOf({ startdateymd, enddateymd, lastupdate }: DayWindow): string | null {
  if (startdateymd === undefined && enddateymd === undefined) {
    return lastupdate === undefined ? 'startdateymd' : null
  }
  if (startdateymd === undefined) return 'startdateymd'
  return enddateymd === undefined ? 'enddateymd' : null
}

/** Does a day's entry lie in the window? `modified` in epoch seconds. */
export function isAskedFor(
  window: DayWindow,
  { date, modified }: { readonly date: string; readonly modified: number },
): boolean {
  const day = dayOfYmd(date)
  return (
    modified > (window.lastupdate ?? 0) &&
    day >= (window.startdateymd === undefined ? -Infinity : dayOfYmd(window.startdateymd)) &&
    day <= (window.enddateymd === undefined ? Infinity : dayOfYmd(window.enddateymd))
  )
}

/** Keeps the named members; names that do not exist are ignored. */
export function select<T extends object>(entry: T, names: readonly string[]): Partial<T> {
  return Object.fromEntries(
    Object.entries(entry).filter(([name]) => names.includes(name)),
  ) as Partial<T>
}

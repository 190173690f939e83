import { invalidParam, ok } from '../answer.ts'
import { dayOf, daySeconds, history } from '../data/calendar.ts'
import { deviceId, devices } from '../data/devices.ts'
import type { Life } from '../data/happening.ts'
import { arrival, naps, night, nights, type Segment } from '../data/sleep/night.ts'
import { isSignalName, signalOf } from '../data/sleep/signals.ts'
import { sleepSummary } from '../data/sleep/summary.ts'
import { withToken } from './access/action.ts'
import { day, fieldNames, optional, required, whole, wholes } from './params.ts'
import { isAskedFor, missingOf, pageOf, paging, select } from './window.ts'

const pageSize = 300
const matModel = 32

/** What a summary holds when `data_fields` is not sent. */
const defaultFields = [
  'wakeupduration',
  'wakeupcount',
  'durationtosleep',
  'remsleepduration',
  'durationtowakeup',
  'total_timeinbed',
  'total_sleep_time',
  'sleep_efficiency',
  'sleep_latency',
  'wakeup_latency',
  'waso',
  'nb_rem_episodes',
  'out_of_bed_count',
  'lightsleepduration',
  'deepsleepduration',
]

/**
 * `/v2/sleep` `getsummary`: nights in numbers, newest first. Needs `user.activity`.
 *
 * Source: "Sleep v2 - Getsummary"; the request's `offset` is used by live clients, though the page
 * does not name it.
 */
export const getSleepSummary = withToken(
  {
    scopes: ['user.activity'],
    params: {
      startdateymd: optional(day),
      enddateymd: optional(day),
      lastupdate: optional(whole),
      offset: optional(whole),
      data_fields: optional(fieldNames),
    },
  },
  ({ params, life, now }) => {
    const missing = missingOf(params)
    if (missing !== null) return invalidParam(missing)
    const found = nights(life, now)
      .map((it) => sleepSummary(life.seed, it))
      .filter((it) => isAskedFor(params, it))
      .reverse()
    const page = pageOf(found, params.offset ?? 0, pageSize)
    const fields = params.data_fields ?? defaultFields
    const series = page.items.map((it) => ({ ...it, data: select(it.data, fields) }))
    return ok({ series, ...paging(page) })
  },
)

/**
 * `/v2/sleep` `get`: stages, with the signals that `data_fields` names. Needs `user.activity`.
 *
 * More than 24 hours are cut to the first 24. Source: "Sleep v2 - Get".
 */
export const getSleep = withToken(
  {
    scopes: ['user.activity'],
    params: {
      startdate: required(whole),
      enddate: required(whole),
      data_fields: optional(fieldNames),
      meastypes: optional(wholes),
    },
  },
  ({ params, life, now }) => {
    const start = params.startdate
    const end = Math.min(params.enddate, start + daySeconds, now)
    const names = (params.data_fields ?? []).filter(isSignalName)
    const isTouched = (segment: Segment) => segment.end > start && segment.start < end
    const series = nightsAround(life, { start, end, now }).flatMap((it) =>
      it.segments.filter(isTouched).map((segment) => ({
        startdate: segment.start,
        state: segment.state,
        enddate: segment.end,
        model: devices.sleepMat.model,
        ...Object.fromEntries(
          names.map((name) => [name, signalOf(life.seed, name, { night: it, segment })]),
        ),
        hash_deviceid: deviceId(life.seed, devices.sleepMat),
        model_id: devices.sleepMat.modelId,
      })),
    )
    return ok({ series, model: matModel })
  },
)

/** The nights that may touch a span of at most 24 hours. */
function nightsAround(life: Life, { start, end, now }: Span) {
  const { first, last } = history(now)
  const days: number[] = []
  for (let it = Math.max(first, dayOf(start)); it <= Math.min(last, dayOf(end) + 1); it += 1) {
    days.push(it)
  }
  const usual = days.flatMap((it) => night(life.seed, it) ?? [])
  return [...usual, ...naps(life, now)]
    .filter((it) => arrival(it) <= now)
    .sort((a, b) => a.start - b.start)
}

type Span = { readonly start: number; readonly end: number; readonly now: number }

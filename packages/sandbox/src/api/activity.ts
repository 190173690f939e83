import { invalidParam, ok } from '../answer.ts'
import { activityDays, intradayActivity } from '../data/activity.ts'
import { daySeconds } from '../data/calendar.ts'
import { deviceId, devices } from '../data/devices.ts'
import { workouts } from '../data/workouts.ts'
import { withToken } from './access/action.ts'
import { day, fieldNames, optional, whole } from './params.ts'
import { isAskedFor, missingOf, pageOf, paging, select } from './window.ts'

const pageSize = 200

const byDay = {
  startdateymd: optional(day),
  enddateymd: optional(day),
  lastupdate: optional(whole),
  offset: optional(whole),
  data_fields: optional(fieldNames),
}

/** Where and when a day's totals come from: there whatever `data_fields` says. */
const activityFrame = [
  'deviceid',
  'hash_deviceid',
  'timezone',
  'date',
  'modified',
  'brand',
  'modelid',
  'model',
  'is_tracker',
]

/**
 * `/v2/measure` `getactivity`: totals by day, oldest first. Needs `user.activity`.
 *
 * Source: "Measure v2 - Getactivity".
 */
export const getActivity = withToken(
  {
    scopes: ['user.activity'],
    params: byDay,
  },
  ({ params, life, now }) => {
    const missing = missingOf(params)
    if (missing !== null) return invalidParam(missing)
    const days = activityDays(life.seed, now).filter((it) => isAskedFor(params, it))
    const page = pageOf(days, params.offset ?? 0, pageSize)
    const fields = params.data_fields
    const activities =
      fields === undefined
        ? page.items
        : page.items.map((it) => select(it, [...fields, ...activityFrame]))
    return ok({ activities, ...paging(page) })
  },
)

/**
 * `/v2/measure` `getworkouts`: workouts, oldest first. Needs `user.activity`.
 *
 * Source: "Measure v2 - Getworkouts".
 */
export const getWorkouts = withToken(
  {
    scopes: ['user.activity'],
    params: byDay,
  },
  ({ params, life, now }) => {
    const missing = missingOf(params)
    if (missing !== null) return invalidParam(missing)
    const found = workouts(life, now).filter((it) => isAskedFor(params, it))
    const page = pageOf(found, params.offset ?? 0, pageSize)
    const fields = params.data_fields
    const series =
      fields === undefined
        ? page.items
        : page.items.map((it) => ({ ...it, data: select(it.data, fields) }))
    return ok({ series, ...paging(page) })
  },
)

const slotFields = ['steps', 'elevation', 'calories', 'distance', 'duration', 'heart_rate']

/**
 * `/v2/measure` `getintradayactivity`: ten-minute slots by epoch second. Needs `user.activity`.
 *
 * More than 24 hours are cut to the first 24; without dates, the latest 24.
 * Source: "Measure v2 - Getintradayactivity".
 */
export const getIntradayActivity = withToken(
  {
    scopes: ['user.activity'],
    params: {
      startdate: optional(whole),
      enddate: optional(whole),
      data_fields: optional(fieldNames),
    },
  },
  ({ params, life, now }) => {
    const start = params.startdate ?? (params.enddate ?? now) - daySeconds
    const end = Math.min(params.enddate ?? now, start + daySeconds, now)
    const watch = {
      model: devices.watch.model,
      model_id: devices.watch.modelId,
      deviceid: deviceId(life.seed, devices.watch),
    }
    const slots = intradayActivity(life.seed, { start, end }).map(([at, slot]) => [
      at,
      { ...select(slot, params.data_fields ?? slotFields), ...watch },
    ])
    // The backend is PHP, where an empty map becomes an empty list.
    return ok({ series: slots.length === 0 ? [] : Object.fromEntries(slots) })
  },
)

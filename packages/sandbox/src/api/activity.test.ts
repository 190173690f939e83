import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect } from '../testing.ts'

type Day = Readonly<Record<string, unknown>> & { readonly date: string }
type Activities = {
  readonly activities: readonly Day[]
  readonly more: boolean
  readonly offset: number
}
type Workouts = { readonly series: readonly { readonly data: object; readonly date: string }[] }

const noon = 1_795_435_200
const clock = { now: () => noon * 1000 }

test('getactivity answers the days asked for, both ends included', async () => {
  await using sandbox = await connect(undefined, clock)
  const { body } = await sandbox.call<Activities>('/v2/measure', {
    action: 'getactivity',
    startdateymd: '2026-11-01',
    enddateymd: '2026-11-07',
  })
  assert.deepEqual(
    body.activities.map(({ date }) => date),
    [1, 2, 3, 4, 5, 6, 7].map((day) => `2026-11-0${day}`),
  )
  assert.equal(body.more, false)
})

test('getactivity pages with a boolean more and counts offset on by the page size', async () => {
  await using sandbox = await connect(undefined, clock)
  const form = { action: 'getactivity', lastupdate: 0 }
  const first = (await sandbox.call<Activities>('/v2/measure', form)).body
  assert.deepEqual([first.activities.length, first.more, first.offset], [200, true, 200])
  const last = (await sandbox.call<Activities>('/v2/measure', { ...form, offset: 600 })).body
  assert.deepEqual([last.activities.length, last.more, last.offset], [131, false, 800])
})

test('data_fields chooses the numbers of a day', async () => {
  await using sandbox = await connect(undefined, clock)
  const { body } = await sandbox.call<Activities>('/v2/measure', {
    action: 'getactivity',
    startdateymd: '2026-11-01',
    enddateymd: '2026-11-01',
    data_fields: 'steps,unheard_of',
  })
  const [day] = body.activities
  assert.ok(day !== undefined && 'steps' in day && 'timezone' in day)
  assert.ok(!('distance' in day) && !('unheard_of' in day))
})

const windows = [
  [{}, 503],
  [{ startdateymd: '2026-11-01' }, 503],
  [{ enddateymd: '2026-11-01' }, 503],
  [{ startdateymd: '2026-02-30', enddateymd: '2026-03-01' }, 503],
  [{ startdateymd: '1795435200', enddateymd: '2026-03-01' }, 503],
  [{ startdateymd: '2026-11-01 00:00:00+00:00', enddateymd: '2026-11-02 00:00:00+00:00' }, 0],
  [{ lastupdate: 0 }, 0],
  [{ lastupdate: 'yesterday' }, 503],
] as const

for (const [window, status] of windows) {
  test(`the window ${JSON.stringify(window)} answers ${status}`, async () => {
    await using sandbox = await connect(undefined, clock)
    for (const [path, action] of [
      ['/v2/measure', 'getactivity'],
      ['/v2/measure', 'getworkouts'],
      ['/v2/sleep', 'getsummary'],
    ] as const) {
      assert.equal((await sandbox.call(path, { action, ...window })).status, status, action)
    }
  })
}

test('a few workouts a week, with the data asked for', async () => {
  await using sandbox = await connect(undefined, clock)
  const { body } = await sandbox.call<Workouts>('/v2/measure', {
    action: 'getworkouts',
    startdateymd: '2026-01-01',
    enddateymd: '2026-03-31',
    data_fields: 'calories,steps',
  })
  assert.ok(body.series.length > 20 && body.series.length < 75, `${body.series.length}`)
  assert.ok(body.series.every(({ data }) => Object.keys(data).join() === 'calories,steps'))
})

test('intraday activity is cut to the first 24 hours', async () => {
  await using sandbox = await connect(undefined, clock)
  const startdate = noon - 10 * 86_400
  const { body } = await sandbox.call<{ series: object }>('/v2/measure', {
    action: 'getintradayactivity',
    startdate,
    enddate: noon,
  })
  const times = Object.keys(body.series).map(Number)
  assert.ok(times.length > 30)
  assert.ok(times.every((at) => at >= startdate && at <= startdate + 86_400))
})

test('without dates intraday activity is the latest', async () => {
  await using sandbox = await connect(undefined, clock)
  const form = { action: 'getintradayactivity' }
  const { body } = await sandbox.call<{ series: object }>('/v2/measure', form)
  const times = Object.keys(body.series).map(Number)
  assert.ok(times.every((at) => at > noon - 86_401 && at <= noon))
  assert.ok(times.some((at) => at > noon - 6 * 3600))
})

test('no intraday activity is an empty list, as PHP writes an empty map', async () => {
  await using sandbox = await connect(undefined, clock)
  const midnight = noon - 12 * 3600
  const form = { action: 'getintradayactivity', startdate: midnight, enddate: midnight + 3600 }
  const { body } = await sandbox.call<{ series: object }>('/v2/measure', form)
  assert.deepEqual(body.series, [])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect } from '../testing.ts'

type Summary = {
  readonly startdate: number
  readonly enddate: number
  readonly date: string
  readonly data: Readonly<Record<string, number>>
}
type Segment = Readonly<Record<string, unknown>> & {
  readonly startdate: number
  readonly enddate: number
  readonly state: number
}

const noon = 1_795_435_200
const clock = { now: () => noon * 1000 }
const summaries = { action: 'getsummary', lastupdate: 0 }

test('two years of nights come in pages of 300, newest first', async () => {
  await using sandbox = await connect(undefined, clock)
  type Page = { series: readonly Summary[]; more: boolean; offset: number }
  const first = (await sandbox.call<Page>('/v2/sleep', summaries)).body
  assert.deepEqual([first.series.length, first.more, first.offset], [300, true, 300])
  const last = (await sandbox.call<Page>('/v2/sleep', { ...summaries, offset: 600 })).body
  assert.ok(last.series.length > 50 && !last.more)
  const dates = first.series.map(({ date }) => date)
  assert.deepEqual(dates, dates.toSorted().toReversed())
})

test('the durations of a night add up to the time in bed', async () => {
  await using sandbox = await connect(undefined, clock)
  const { body } = await sandbox.call<{ series: readonly Summary[] }>('/v2/sleep', summaries)
  for (const { data, startdate, enddate } of body.series) {
    const { lightsleepduration: light = 0, deepsleepduration: deep = 0 } = data
    const { remsleepduration: rem = 0, wakeupduration: awake = 0 } = data
    assert.equal(light + deep + rem, data.total_sleep_time)
    assert.equal(light + deep + rem + awake, enddate - startdate)
    assert.ok(data.total_sleep_time !== undefined && data.total_sleep_time > 4 * 3600)
    assert.ok((data.waso ?? -1) >= 0)
  }
})

test('a summary holds heart rate and score only when data_fields names them', async () => {
  await using sandbox = await connect(undefined, clock)
  type Body = { series: readonly Summary[] }
  const plain = (await sandbox.call<Body>('/v2/sleep', summaries)).body.series[0]?.data ?? {}
  assert.ok('total_timeinbed' in plain && !('hr_average' in plain))
  const form = { ...summaries, data_fields: 'hr_average,sleep_score' }
  const chosen = (await sandbox.call<Body>('/v2/sleep', form)).body.series[0]?.data ?? {}
  assert.deepEqual(Object.keys(chosen), ['hr_average', 'sleep_score'])
})

test('the stages of a night follow each other without gap and agree with its summary', async () => {
  await using sandbox = await connect(undefined, clock)
  const { body } = await sandbox.call<{ series: readonly Summary[] }>('/v2/sleep', summaries)
  const [night] = body.series
  assert.ok(night !== undefined)
  const form = { action: 'get', startdate: night.startdate, enddate: night.enddate }
  const stages = (
    await sandbox.call<{ series: readonly Segment[]; model: number }>('/v2/sleep', form)
  ).body
  assert.equal(stages.model, 32)
  assert.equal(stages.series[0]?.startdate, night.startdate)
  assert.equal(stages.series.at(-1)?.enddate, night.enddate)
  for (const [index, segment] of stages.series.entries()) {
    assert.equal(stages.series[index + 1]?.startdate ?? night.enddate, segment.enddate)
    assert.ok(!('hr' in segment))
  }
})

test('data_fields adds signals by epoch second, within their stage', async () => {
  await using sandbox = await connect(undefined, clock)
  const form = {
    action: 'get',
    startdate: noon - 86_400,
    enddate: noon,
    data_fields: 'hr,rr,snoring',
  }
  const { body } = await sandbox.call<{ series: readonly Segment[] }>('/v2/sleep', form)
  for (const segment of body.series) {
    for (const name of ['hr', 'rr', 'snoring']) {
      const times = Object.keys(segment[name] ?? {}).map(Number)
      assert.equal(times.length, (segment.enddate - segment.startdate) / 6)
      assert.ok(times.every((at) => at >= segment.startdate && at < segment.enddate))
    }
  }
})

const signals =
  'hr,rr,snoring,sdnn_1,rmssd,mvt_score,hrv_quality,chest_movement_rate,withings_index,breathing_sounds'

test('a night with every signal reaches the recorded 0.6 MB', async () => {
  await using sandbox = await connect(undefined, clock)
  const form = { action: 'get', startdate: noon - 86_400, enddate: noon, data_fields: signals }
  const { body } = await sandbox.call<{ series: readonly Segment[] }>('/v2/sleep', form)
  assert.ok(body.series.every((segment) => signals.split(',').every((name) => name in segment)))
  assert.ok(JSON.stringify(body).length >= 600_000, `${JSON.stringify(body).length} bytes`)
})

/** All that a summary may hold. */
const summaryFields = [
  'nb_rem_episodes,sleep_efficiency,sleep_latency,total_sleep_time,total_timeinbed,wakeup_latency',
  'waso,apnea_hypopnea_index,breathing_disturbances_intensity,asleepduration,deepsleepduration',
  'durationtosleep,durationtowakeup,hr_average,hr_max,hr_min,lightsleepduration,snoring',
  'mvt_active_duration,mvt_score_avg,night_events,out_of_bed_count,remsleepduration,rr_average',
  'rr_max,rr_min,sleep_score,snoringepisodecount,wakeupcount,wakeupduration,withings_index',
  'breathing_quality_assessment,rmssd_start_avg,rmssd_end_avg,breathing_sounds',
  'breathing_sounds_episode_count,chest_movement_rate_average,chest_movement_rate_min',
  'chest_movement_rate_max,chest_movement_rate_wellness_average,chest_movement_rate_wellness_min',
  'chest_movement_rate_wellness_max,core_body_temperature_min,core_body_temperature_max',
  'core_body_temperature_avg,core_body_temperature_status',
].join()

test('a page of 300 summaries with all their fields is as large as the recorded 0.46 MB, within 5 %', async () => {
  await using sandbox = await connect(undefined, clock)
  const form = { ...summaries, data_fields: summaryFields }
  const { body } = await sandbox.call<{ series: readonly Summary[] }>('/v2/sleep', form)
  assert.equal(body.series.length, 300)
  assert.equal(Object.keys(body.series[0]?.data ?? {}).length, summaryFields.split(',').length)
  const bytes = JSON.stringify(body).length
  assert.ok(Math.abs(bytes - 460_000) < 23_000, `${bytes} bytes`)
})

test('more than 24 hours of stages are cut to the first 24', async () => {
  await using sandbox = await connect(undefined, clock)
  const startdate = noon - 8 * 86_400
  const form = { action: 'get', startdate, enddate: noon }
  const { body } = await sandbox.call<{ series: readonly Segment[] }>('/v2/sleep', form)
  assert.ok(body.series.length > 0)
  assert.ok(body.series.every((it) => it.startdate < startdate + 86_400))
})

test('stages need both dates', async () => {
  await using sandbox = await connect(undefined, clock)
  for (const dates of [{}, { startdate: 1 }, { enddate: 1 }]) {
    assert.equal((await sandbox.call('/v2/sleep', { action: 'get', ...dates })).status, 503)
  }
})

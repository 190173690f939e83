import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect } from '../testing.ts'

type Recording = {
  readonly model: number
  readonly ecg: { readonly signalid: number; readonly afib: number }
  readonly timestamp: number
  readonly bloodpressure?: object
}
type Signal = {
  readonly signal: readonly number[]
  readonly sampling_frequency: number
}

const list = { action: 'list' }

test('about twenty recordings, each with a signal of its device', async () => {
  await using sandbox = await connect()
  const { body } = await sandbox.call<{ series: readonly Recording[] }>('/v2/heart', list)
  assert.ok(body.series.length >= 19 && body.series.length <= 22)
  for (const { ecg, model, bloodpressure } of body.series) {
    assert.ok([0, 1, 2].includes(ecg.afib))
    const form = { action: 'get', signalid: ecg.signalid }
    const { signal, sampling_frequency } = (await sandbox.call<Signal>('/v2/heart', form)).body
    const isCuff = model === 44
    assert.equal(bloodpressure !== undefined, isCuff)
    assert.deepEqual([signal.length, sampling_frequency], isCuff ? [10_000, 500] : [9000, 300])
    assert.ok(signal.every(Number.isInteger))
    assert.ok(Math.max(...signal) > 800 && Math.max(...signal) < 2000)
  }
})

test('the same recording has the same signal', async () => {
  await using sandbox = await connect()
  const { body } = await sandbox.call<{ series: readonly Recording[] }>('/v2/heart', list)
  const form = { action: 'get', signalid: body.series[0]?.ecg.signalid ?? 0 }
  const first = await sandbox.call('/v2/heart', form)
  assert.deepEqual(await sandbox.call('/v2/heart', form), first)
})

test('a window keeps to its ends', async () => {
  await using sandbox = await connect()
  const { body } = await sandbox.call<{ series: readonly Recording[] }>('/v2/heart', list)
  const at = body.series[3]?.timestamp ?? 0
  const form = { ...list, startdate: at, enddate: at }
  const found = await sandbox.call<{ series: readonly Recording[] }>('/v2/heart', form)
  assert.deepEqual(
    found.body.series.map(({ timestamp }) => timestamp),
    [at],
  )
})

test('an unknown, missing or mistyped signal answers 503', async () => {
  await using sandbox = await connect()
  for (const wrong of [
    {},
    { signalid: 1 },
    { signalid: 'x' },
    { signalid: 90_020_758, with_filtered: 'maybe' },
  ]) {
    assert.equal((await sandbox.call('/v2/heart', { action: 'get', ...wrong })).status, 503)
  }
})

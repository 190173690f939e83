import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, nonceOf, signed } from '../testing.ts'

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

test('a signed get is judged, and no signal_token of ours exists', async () => {
  await using sandbox = await connect()
  const form = { ...signed('get', await nonceOf(sandbox)), signal_token: 't' }
  const refused = await sandbox.post('/v2/heart', form)
  assert.deepEqual([refused.status, refused.error], [503, 'Invalid Params: invalid signal_token'])
  assert.equal((await sandbox.post('/v2/heart', form)).status, 343)
  const forged = { ...signed('get', await nonceOf(sandbox)), signature: 'x', signal_token: 't' }
  assert.equal((await sandbox.post('/v2/heart', forged)).status, 342)
  const both = { ...signed('get', await nonceOf(sandbox)), signal_token: 't' }
  const answer = await sandbox.call('/v2/heart', both)
  assert.equal(answer.error, 'Invalid Params: invalid signature')
})

test('nobody has a stethoscope: an empty list, as the live service answers without the device', async () => {
  await using sandbox = await connect()
  const { status, body } = await sandbox.call('/v2/stetho', list)
  assert.deepEqual([status, body.series, body.more], [0, [], false])
  assert.equal((await sandbox.call('/v2/stetho', { action: 'get', signalid: 1 })).status, 503)
})

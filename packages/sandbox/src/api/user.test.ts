import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect } from '../testing.ts'

type Devices = { readonly devices: readonly { readonly model: string }[] }

const getdevice = { action: 'getdevice' }
const scale = '00:24:e4:5a:10:01'

test('the person has a scale, a cuff, a watch and a sleep mat', async () => {
  await using sandbox = await connect()
  const { body } = await sandbox.call<Devices>('/v2/user', getdevice)
  const models = body.devices.map(({ model }) => model)
  assert.deepEqual(models, ['Body+', 'BPM Core', 'ScanWatch', 'Aura Sensor V2'])
})

test('an unlinked device is gone until it is linked again', async () => {
  await using sandbox = await connect()
  const count = async () => (await sandbox.call<Devices>('/v2/user', getdevice)).body.devices.length
  const unlink = { action: 'unlink', mac_address: scale }
  assert.equal((await sandbox.call('/v2/user', unlink)).status, 0)
  assert.equal(await count(), 3)
  assert.equal((await sandbox.call('/v2/user', unlink)).status, 503)
  const link = { action: 'link', mac_addresses: JSON.stringify([scale]) }
  assert.equal((await sandbox.call('/v2/user', link)).status, 0)
  assert.equal(await count(), 4)
})

test('link and unlink refuse what is no MAC address', async () => {
  await using sandbox = await connect()
  for (const list of ['', scale, '[]', '[1]', '["nothing"]', '{}']) {
    const form = { action: 'link', mac_addresses: list }
    assert.equal((await sandbox.call('/v2/user', form)).status, 503, list)
  }
  for (const wrong of [{}, { mac_address: 'nothing' }]) {
    assert.equal((await sandbox.call('/v2/user', { action: 'unlink', ...wrong })).status, 503)
  }
})

test('goals are steps, sleep and weight', async () => {
  await using sandbox = await connect(['user.metrics'])
  const { body } = await sandbox.call('/v2/user', { action: 'getgoals' })
  assert.deepEqual(body, {
    goals: { steps: 9000, sleep: 28_800, weight: { value: 74_000, unit: -3 } },
  })
})

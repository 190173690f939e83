import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect } from '../testing.ts'

type Profiles = { readonly profiles: readonly { callbackurl: string; appli: number }[] }

const callbackurl = 'http://127.0.0.1:9/hook'
const subscribe = { action: 'subscribe', callbackurl, appli: 44 }

test('a subscription can be made, read, changed and ended', async () => {
  await using sandbox = await connect()
  assert.deepEqual(await sandbox.call('/notify', { ...subscribe, comment: 'nights' }), {
    status: 0,
    body: {},
  })
  const get = { action: 'get', callbackurl, appli: 44 }
  assert.deepEqual((await sandbox.call('/notify', get)).body, {
    appli: 44,
    callbackurl,
    expires: 2_147_483_647,
    comment: 'nights',
  })
  const update = { action: 'update', callbackurl, appli: 44, new_appli: 16 }
  assert.equal((await sandbox.call('/notify', update)).status, 0)
  assert.equal((await sandbox.call('/notify', get)).status, 286)
  const revoke = { action: 'revoke', callbackurl, appli: 16 }
  assert.equal((await sandbox.call('/notify', revoke)).status, 0)
  assert.equal((await sandbox.call('/notify', revoke)).status, 294)
})

test('subscribing twice leaves one subscription', async () => {
  await using sandbox = await connect()
  await sandbox.call('/notify', subscribe)
  await sandbox.call('/notify', { ...subscribe, comment: 'again' })
  const form = { action: 'list', appli: 44 }
  assert.equal((await sandbox.call<Profiles>('/notify', form)).body.profiles.length, 1)
})

const refused = [
  [{ callbackurl: 'not a url' }, 293],
  [{ callbackurl: 'ftp://example.com/' }, 293],
  [{ callbackurl: `https://example.com/${'x'.repeat(255)}` }, 293],
  [{ comment: 'x'.repeat(256) }, 304],
  [{ appli: 3 }, 503],
  [{ appli: 'sleep' }, 503],
] as const

for (const [changes, status] of refused) {
  test(`subscribe with ${JSON.stringify(changes).slice(0, 50)} answers ${status}`, async () => {
    await using sandbox = await connect()
    assert.equal((await sandbox.call('/notify', { ...subscribe, ...changes })).status, status)
  })
}

test('required parameters are required', async () => {
  await using sandbox = await connect()
  for (const form of [
    { action: 'subscribe', appli: 1 },
    { action: 'subscribe', callbackurl },
    { action: 'get' },
    { action: 'update', callbackurl, comment: 'x' },
    { action: 'update', callbackurl, appli: 1 },
    { action: 'revoke' },
    { action: 'revoke', appli: 1 },
  ]) {
    assert.equal((await sandbox.call('/notify', form)).status, 503, JSON.stringify(form))
  }
})

test('a category needs its scope, in update for the new one as well', async () => {
  await using sandbox = await connect(['user.metrics'])
  assert.equal((await sandbox.call('/notify', subscribe)).status, 403)
  await sandbox.call('/notify', { ...subscribe, appli: 4 })
  const update = { action: 'update', callbackurl, appli: 4, new_appli: 44 }
  assert.equal((await sandbox.call('/notify', update)).status, 403)
})

test('GET changes subscriptions just as POST does', async () => {
  await using sandbox = await connect()
  const query = new URLSearchParams({ action: 'subscribe', callbackurl, appli: '44' })
  const headers = { authorization: `Bearer ${sandbox.tokens.access_token}` }
  await fetch(`${sandbox.url}/notify?${query}`, { headers })
  const { body } = await sandbox.call<Profiles>('/notify', { action: 'list' })
  assert.equal(body.profiles.length, 2)
})

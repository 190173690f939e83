import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allScopes, connect, nonceOf, signed, start } from '../testing.ts'
import { openCallback, status } from './testing.ts'

type Profiles = { readonly profiles: readonly { callbackurl: string; appli: number }[] }
type Listed = {
  readonly userid: number | null
  readonly appli: number
  readonly callbackurl: string
}

const nights = 44
const subscribe = (callbackurl: string) => ({ action: 'subscribe', callbackurl, appli: nights })

test('a subscription can be made, read, changed and ended', async () => {
  await using callback = await openCallback()
  await using sandbox = await connect()
  const callbackurl = callback.url
  const made = await sandbox.call('/notify', { ...subscribe(callbackurl), comment: 'nights' })
  assert.deepEqual(made, { status: 0, body: {} })
  const get = { action: 'get', callbackurl, appli: nights }
  assert.deepEqual((await sandbox.call('/notify', get)).body, {
    appli: nights,
    callbackurl,
    expires: 2_147_483_647,
    comment: 'nights',
  })
  const update = { action: 'update', callbackurl, appli: nights, new_appli: 16 }
  assert.equal((await sandbox.call('/notify', update)).status, 0)
  assert.equal((await sandbox.call('/notify', get)).status, 286)
  const revoke = { action: 'revoke', callbackurl, appli: 16 }
  assert.equal((await sandbox.call('/notify', revoke)).status, 0)
  assert.equal((await sandbox.call('/notify', revoke)).status, 294)
})

test('subscribing twice leaves one subscription', async () => {
  await using callback = await openCallback()
  await using sandbox = await connect()
  await sandbox.call('/notify', subscribe(callback.url))
  await sandbox.call('/notify', { ...subscribe(callback.url), comment: 'again' })
  const form = { action: 'list', appli: nights }
  assert.equal((await sandbox.call<Profiles>('/notify', form)).body.profiles.length, 1)
})

test('a callback URL is asked with HEAD before it is accepted, and with nothing else', async () => {
  await using callback = await openCallback()
  await using sandbox = await connect()
  assert.equal((await sandbox.call('/notify', subscribe(callback.url))).status, 0)
  assert.deepEqual(
    callback.calls.map(({ method, target }) => [method, target]),
    [['HEAD', '/hook?secret=s1']],
  )
})

for (const http of [200, 204, 299]) {
  test(`a callback URL that answers HEAD with ${http} is accepted`, async () => {
    await using callback = await openCallback()
    callback.answerWith(status(http))
    await using sandbox = await connect()
    assert.equal((await sandbox.call('/notify', subscribe(callback.url))).status, 0)
  })
}

for (const http of [301, 302, 401, 404, 405, 500]) {
  test(`a callback URL that answers HEAD with ${http} is refused with 293`, async () => {
    await using callback = await openCallback()
    callback.answerWith(status(http))
    await using sandbox = await connect()
    assert.equal((await sandbox.call('/notify', subscribe(callback.url))).status, 293)
    const { body } = await sandbox.call<Profiles>('/notify', { action: 'list', appli: nights })
    assert.deepEqual(body.profiles, [])
  })
}

test('a callback URL that cannot be reached, or never answers, is refused with 293', async () => {
  await using callback = await openCallback()
  await using sandbox = await connect()
  callback.answerWith((response) => response.destroy())
  assert.equal((await sandbox.call('/notify', subscribe(callback.url))).status, 293)
  callback.answerWith(() => undefined)
  assert.equal((await sandbox.call('/notify', subscribe(callback.url))).status, 293)
  await callback[Symbol.asyncDispose]()
  assert.equal((await sandbox.call('/notify', subscribe(callback.url))).status, 293)
})

test('a new callback URL in update is asked with HEAD as well', async () => {
  await using callback = await openCallback()
  await using sandbox = await connect()
  await sandbox.call('/notify', subscribe(callback.url))
  callback.answerWith(status(404))
  const update = { action: 'update', callbackurl: callback.url, appli: nights }
  const moved = { ...update, new_callbackurl: `${callback.url}&v=2` }
  assert.equal((await sandbox.call('/notify', moved)).status, 293)
  assert.equal((await sandbox.call('/notify', { ...update, comment: 'stays' })).status, 0)
})

for (const elsewhere of [
  'https://example.com/',
  'http://192.0.2.1/',
  'http://[2001:db8::1]/',
  'http://0.0.0.0/',
  'http://127.0.0.1.example.com/',
  'http://localhost.example.com/',
  'http://127.0.0.1@example.com/',
]) {
  test(`nothing is sent to ${elsewhere}: it is refused with 293`, async () => {
    await using sandbox = await connect()
    assert.equal((await sandbox.call('/notify', subscribe(elsewhere))).status, 293)
  })
}

const refused = [
  [{ callbackurl: 'not a url' }, 293],
  [{ callbackurl: 'ftp://127.0.0.1/' }, 293],
  [{ callbackurl: `http://127.0.0.1/${'x'.repeat(255)}` }, 293],
  [{ comment: 'x'.repeat(256) }, 304],
  [{ appli: 3 }, 503],
  [{ appli: 'sleep' }, 503],
] as const

for (const [changes, code] of refused) {
  test(`subscribe with ${JSON.stringify(changes).slice(0, 50)} answers ${code}`, async () => {
    await using callback = await openCallback()
    await using sandbox = await connect()
    const form = { ...subscribe(callback.url), ...changes }
    assert.equal((await sandbox.call('/notify', form)).status, code)
  })
}

test('required parameters are required', async () => {
  await using sandbox = await connect()
  const callbackurl = 'http://127.0.0.1:9/hook'
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

const categoriesOf = {
  'user.info': [46],
  'user.metrics': [1, 2, 4, 54, 55, 58, 61, 62],
  'user.activity': [16, 44],
  'user.sleepevents': [50, 51, 52],
} as const

for (const scope of allScopes) {
  test(`a token with ${scope} alone subscribes to the categories of that scope`, async () => {
    await using callback = await openCallback()
    await using sandbox = await connect([scope])
    for (const appli of Object.values(categoriesOf).flat()) {
      const isOpen = categoriesOf[scope].some((it) => it === appli)
      const form = { ...subscribe(callback.url), appli }
      assert.equal((await sandbox.call('/notify', form)).status, isOpen ? 0 : 403, `${appli}`)
    }
  })
}

test('get, list, update and revoke need the scope of the category too', async () => {
  await using callback = await openCallback()
  await using sandbox = await connect(['user.metrics'])
  const callbackurl = callback.url
  await sandbox.call('/notify', { ...subscribe(callbackurl), appli: 4 })
  for (const form of [
    { action: 'get', callbackurl, appli: nights },
    { action: 'list', appli: nights },
    { action: 'revoke', callbackurl, appli: nights },
    { action: 'update', callbackurl, appli: nights, comment: 'x' },
    { action: 'update', callbackurl, appli: 4, new_appli: nights },
  ]) {
    assert.equal((await sandbox.call('/notify', form)).status, 403, JSON.stringify(form))
  }
})

test('an expired subscription is gone for get, list, update and revoke', async () => {
  await using callback = await openCallback()
  await using sandbox = await connect()
  const callbackurl = callback.url
  await sandbox.call('/notify', subscribe(callbackurl))
  await sandbox.control('POST', '/expire', { subscriptions: 'all' })
  const { body } = await sandbox.call<Profiles>('/notify', { action: 'list' })
  assert.deepEqual(body.profiles, [])
  const about = { callbackurl, appli: nights }
  const status = async (form: Record<string, string | number>) =>
    (await sandbox.call('/notify', { ...form, ...about })).status
  assert.equal(await status({ action: 'get' }), 286)
  assert.equal(await status({ action: 'update', comment: 'x' }), 286)
  assert.equal(await status({ action: 'revoke' }), 294)
  assert.equal(await status({ action: 'subscribe' }), 0)
  assert.equal(await status({ action: 'get' }), 0)
})

test('the category of unassociated devices is signed, without a token, and there once', async () => {
  await using callback = await openCallback()
  await using sandbox = await connect()
  const of = async (callbackurl: string) => ({
    ...signed('subscribe', await nonceOf(sandbox)),
    ...{ callbackurl, appli: 53 },
  })
  assert.equal((await sandbox.post('/notify', await of(callback.url))).status, 0)
  const second = `${callback.url}&v=2`
  assert.equal((await sandbox.post('/notify', await of(second))).status, 0)
  const { body } = await sandbox.control('GET', '/state')
  const all = body.subscriptions as readonly Listed[]
  assert.deepEqual(
    all.filter(({ appli }) => appli === 53).map(({ userid, callbackurl }) => [userid, callbackurl]),
    [[null, second]],
  )
})

test('a signature is judged, stands in place of a token, and opens that one category', async () => {
  await using callback = await openCallback()
  await using sandbox = await connect()
  const form = async (changes: Record<string, string | number>) => ({
    ...signed('subscribe', await nonceOf(sandbox)),
    ...{ callbackurl: callback.url, appli: 53 },
    ...changes,
  })
  const post = async (changes: Record<string, string | number>) =>
    (await sandbox.post('/notify', await form(changes))).status
  assert.equal(await post({ signature: '0'.repeat(64) }), 342)
  assert.equal(await post({ nonce: 'unknown' }), 343)
  assert.equal(await post({ client_id: 'nobody' }), 503)
  assert.equal(await post({ appli: 1 }), 503)
  assert.equal((await sandbox.call('/notify', await form({}))).status, 503)
  const byToken = { ...subscribe(callback.url), appli: 53 }
  assert.equal((await sandbox.call('/notify', byToken)).status, 403)
})

test('without token and signature there is nothing to subscribe', async () => {
  await using callback = await openCallback()
  await using sandbox = await start()
  assert.equal((await sandbox.post('/notify', subscribe(callback.url))).status, 401)
  assert.deepEqual(callback.calls, [])
})

test('GET changes subscriptions just as POST does', async () => {
  await using callback = await openCallback()
  await using sandbox = await connect()
  const { url } = callback
  const query = new URLSearchParams({ action: 'subscribe', callbackurl: url, appli: '44' })
  const headers = { authorization: `Bearer ${sandbox.tokens.access_token}` }
  await fetch(`${sandbox.url}/notify?${query}`, { headers })
  const { body } = await sandbox.call<Profiles>('/notify', { action: 'list' })
  assert.equal(body.profiles.length, 2)
})

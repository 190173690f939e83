import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadCatalog } from '../catalog/load.ts'
import { Secret } from '../secret.ts'
import { forEachStore } from '../store/testing.ts'
import {
  addApplication,
  changeLimit,
  listApplications,
  openApplication,
  removeApplication,
  restrictionOf,
  rotateSecret,
} from './applications.ts'
import { removeConnection } from './connections.ts'
import { createCredentials } from './credentials.ts'
import {
  addTestApplication,
  callbackUrl,
  connectAccount,
  granted,
  openRoom,
  providersDir,
  recordsOf,
  refused,
  startSandbox,
  testClock,
  wholeLog,
} from './testing.ts'

forEachStore((stores) => {
  async function start() {
    const clock = testClock()
    const sandbox = await startSandbox(clock)
    const store = await stores.open(clock)
    return { clock, sandbox, store, room: await openRoom(store, clock, sandbox.url) }
  }
  const request = { provider: 'withings', clientId: 'id-1', secret: new Secret('the secret') }

  test('an application is kept with its secret sealed and recorded without it', async () => {
    const { room, store } = await start()
    const application = granted(await addApplication(room, request))
    const { clientId, redirectUri, sandbox } = application
    assert.deepEqual([clientId, redirectUri, sandbox], ['id-1', callbackUrl, true])
    assert.deepEqual(await listApplications(room), [application])
    assert.deepEqual(await listApplications(room, 'trello'), [])
    const opened = await openApplication(room, application.id)
    assert.equal(opened?.clientSecret.reveal(), 'the secret')
    const rows = JSON.stringify(await store.db.selectFrom('application').selectAll().execute())
    assert.ok(!rows.includes('the secret'))
    assert.ok(!(await wholeLog(store)).includes('the secret'))
    const [record] = await recordsOf(store, 'application.added')
    assert.deepEqual([record?.application, record?.client_id], [application.id, 'id-1'])
  })

  test('the operator may name another registered redirect URI, if it is one', async () => {
    const { room } = await start()
    const redirectUri = 'https://me.example/back?app=1'
    const application = granted(await addApplication(room, { ...request, redirectUri }))
    assert.equal(application.redirectUri, redirectUri)
    for (const wrong of ['me.example', 'javascript:alert(1)', 'https://me.example/#x']) {
      const result = await addApplication(room, { ...request, redirectUri: wrong })
      assert.equal(refused(result).code, 'invalid_request', wrong)
    }
  })

  test('an unknown provider, empty values and a client id twice are refused', async () => {
    const { room, store } = await start()
    granted(await addApplication(room, request))
    const wrong = [
      [{ provider: 'nope' }, 'unknown_provider'],
      [{ clientId: '' }, 'invalid_request'],
      [{ secret: new Secret('') }, 'invalid_request'],
      [{}, 'conflict'],
    ] as const
    for (const [change, code] of wrong) {
      assert.equal(refused(await addApplication(room, { ...request, ...change })).code, code)
    }
    assert.equal((await recordsOf(store, 'application.added')).length, 1)
  })

  test('a rotated secret is used from the next refresh on', async () => {
    const { room, clock, sandbox, store } = await start()
    const { id } = await addTestApplication(room, sandbox)
    const { connection } = await connectAccount(room)
    granted(await rotateSecret(room, { id, secret: new Secret('wrong now') }))
    clock.advance(180 * 60_000)
    const credentials = createCredentials(room)
    assert.match(refused(await credentials.take(connection.id)).message, /invalid client_secret/)
    granted(await rotateSecret(room, { id, secret: sandbox.clientSecret }))
    clock.advance(10_001)
    granted(await credentials.take(connection.id))
    assert.equal((await recordsOf(store, 'application.secret_rotated')).length, 2)
    const none = await rotateSecret(room, { id: 'app_none', secret: new Secret('x') })
    assert.equal(refused(none).code, 'not_found')
  })

  test('a changed limit is recorded, and no attempt judged before it starts after it', async () => {
    const { room, store } = await start()
    const { id } = granted(await addApplication(room, request))
    const before = store.policyEpoch()
    granted(await changeLimit(room, { id, limit: { requests: 7, seconds: 60 } }))
    assert.equal(store.policyEpoch(), before + 1)
    const late = await store.write({ records: [], ifPolicyEpoch: before })
    assert.equal(late.kind, 'stale')
    const [record] = await recordsOf(store, 'application.limit_changed')
    assert.deepEqual([record?.application, record?.limit], [id, { requests: 7, seconds: 60 }])
    assert.equal((await recordsOf(store, 'application.added'))[0]?.limit, 'default')
  })

  test('an application is removed once no connection needs it', async () => {
    const { room, sandbox, store } = await start()
    const { id } = await addTestApplication(room, sandbox)
    const { connection } = await connectAccount(room)
    assert.equal(refused(await removeApplication(room, id)).code, 'conflict')
    granted(await removeConnection(room, createCredentials(room), connection.id))
    granted(await removeApplication(room, id))
    assert.deepEqual(await listApplications(room), [])
    assert.equal((await recordsOf(store, 'application.removed')).length, 1)
    assert.equal(refused(await removeApplication(room, id)).code, 'not_found')
  })
})

const uris = [
  ['https://okoro.example/connect/callback/withings', false],
  ['https://okoro.example:8443/connect/callback/withings', true],
  ['http://okoro.example/connect/callback/withings', true],
  ['https://192.0.2.7/connect/callback/withings', true],
  ['https://[2001:db8::7]/connect/callback/withings', true],
  ['https://localhost/connect/callback/withings', true],
  [`https://okoro.example/${'x'.repeat(255)}`, true],
  [callbackUrl, true],
] as const
for (const [uri, isRestricted] of uris) {
  test(`Withings ${isRestricted ? 'restricts' : 'takes'} ${uri.slice(0, 60)}`, async () => {
    const { providers } = await loadCatalog([providersDir], new Map())
    const withings = providers.get('withings')
    assert.ok(withings)
    assert.equal(restrictionOf(withings, uri) !== null, isRestricted)
  })
}

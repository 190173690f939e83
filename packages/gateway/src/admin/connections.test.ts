import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openLink } from '../connections/connect.ts'
import {
  consent,
  granted,
  linkOf,
  startKeyProvider,
  startSandbox,
  testClock,
} from '../connections/testing.ts'
import type { Store } from '../store/store.ts'
import { forEachStore } from '../store/testing.ts'
import { openAdmin } from './testing.ts'

const clientSecret = 'secret-of-the-application'

async function openConnected(store: Store) {
  const clock = testClock()
  const sandbox = await startSandbox(clock)
  const admin = await openAdmin(store, clock, sandbox.url)
  const secret = sandbox.clientSecret.reveal()
  const application = { provider: 'withings', client_id: 'okoro', client_secret: secret }
  assert.equal((await admin.call('POST', '/applications', application)).status, 201)
  return { ...admin, sandbox }
}

async function connect(
  { room, call }: Awaited<ReturnType<typeof openConnected>>,
  flowRequest: object = {},
) {
  const begun = await call('POST', '/connect-flows', { provider: 'withings', ...flowRequest })
  const flow = begun.body
  const opened = granted(await openLink(room, linkOf(flow.link)))
  const back = await consent(opened.redirectTo)
  const pasted = { session: flow.session, redirect_url: String(back) }
  const connected = await call('POST', `/connect-flows/${flow.id}/pasted`, pasted)
  return { flow, pasted, connected }
}

forEachStore((stores) => {
  test('an application is added, and its secret comes out nowhere', async () => {
    const { call } = await openAdmin(await stores.open())
    const input = { provider: 'withings', client_id: 'abc', client_secret: clientSecret }
    const added = await call('POST', '/applications', input)
    assert.equal(added.status, 201)
    assert.equal(added.body.redirect_uri, 'http://127.0.0.1:8420/connect/callback/withings')
    assert.ok(added.body.restriction.length > 0)
    const listed = await call('GET', '/applications')
    assert.deepEqual(listed.body.items, [added.body])
    assert.ok(!JSON.stringify([added.body, listed.body]).includes(clientSecret))
    const twice = await call('POST', '/applications', input)
    assert.deepEqual([twice.status, twice.body.error], [409, 'conflict'])
    assert.ok(!twice.body.message.includes(clientSecret))
  })

  test("an application's secret is rotated, and the application removed", async () => {
    const { call } = await openAdmin(await stores.open())
    const input = { provider: 'withings', client_id: 'abc', client_secret: clientSecret }
    const { id } = (await call('POST', '/applications', input)).body
    const rotated = await call('PUT', `/applications/${id}/secret`, { client_secret: 'another' })
    assert.equal(rotated.status, 200)
    assert.equal(
      (await call('PUT', '/applications/app_x/secret', { client_secret: 'a' })).status,
      404,
    )
    assert.equal((await call('DELETE', `/applications/${id}`)).status, 200)
    assert.equal((await call('GET', `/applications/${id}`)).status, 404)
  })

  test('the limit of an application is the provider file’s until the operator changes it', async () => {
    const { call } = await openAdmin(await stores.open())
    const input = { provider: 'withings', client_id: 'abc', client_secret: clientSecret }
    const added = (await call('POST', '/applications', input)).body
    const limitOf = ({ limit, limit_is_default: isDefault }: typeof added) => [limit, isDefault]
    assert.deepEqual(limitOf(added), [{ requests: 120, seconds: 60 }, true])
    const path = `/applications/${added.id}/limit`
    const steps = [
      [{ requests: 1500, seconds: 60 }, { requests: 1500, seconds: 60 }, false],
      ['none', null, false],
      ['default', { requests: 120, seconds: 60 }, true],
    ] as const
    for (const [limit, ...holds] of steps) {
      assert.deepEqual(limitOf((await call('PUT', path, { limit })).body), holds)
      assert.deepEqual(limitOf((await call('GET', `/applications/${added.id}`)).body), holds)
    }
    const own = { ...input, client_id: 'def', limit: { requests: 5, seconds: 1 } }
    const other = await call('POST', '/applications', own)
    assert.deepEqual(limitOf(other.body), [{ requests: 5, seconds: 1 }, false])
    for (const limit of [
      ...['', '120/60', null, { requests: 0, seconds: 60 }, { requests: 1.5, seconds: 60 }],
      ...[{ requests: 1e12, seconds: 1 }, { requests: 1, seconds: 1e9 }, { requests: 1 }],
    ]) {
      assert.equal((await call('PUT', path, { limit })).body.error, 'invalid_request')
    }
    assert.equal((await call('PUT', '/applications/app_x/limit', { limit: 'none' })).status, 404)
  })

  test('a pasted redirect URL connects, once, and only for the session that began', async () => {
    const admin = await openConnected(await stores.open())
    const { call } = admin
    const { flow, pasted, connected } = await connect(admin, { label: 'mine', owner: 'ada' })
    assert.equal(connected.status, 200, JSON.stringify(connected.body))
    assert.deepEqual(
      [connected.body.label, connected.body.owner, connected.body.status, connected.body.sandbox],
      ['mine', 'ada', 'connected', true],
    )
    const polled = await call('GET', `/connect-flows/${flow.id}`)
    assert.deepEqual(
      [polled.body.status, polled.body.connection_id],
      ['connected', connected.body.id],
    )
    assert.ok(!JSON.stringify(polled.body).includes(flow.session))
    const again = await call('POST', `/connect-flows/${flow.id}/pasted`, pasted)
    assert.equal(again.body.error, 'conflict')
    const foreign = { ...pasted, session: 'someone-else' }
    const refused = await call('POST', `/connect-flows/${flow.id}/pasted`, foreign)
    assert.equal(refused.body.error, 'not_found')
  })

  test('a connection is named by id, label or provider, and tested', async () => {
    const admin = await openConnected(await stores.open())
    const { call } = admin
    const { connected } = await connect(admin)
    for (const name of [connected.body.id, 'default', 'withings', 'withings@default']) {
      assert.equal((await call('GET', `/connections/${name}`)).body.id, connected.body.id)
    }
    assert.equal((await call('POST', '/connections/default/test')).status, 200)
    assert.equal((await call('GET', '/connections/nobody')).body.error, 'not_found')
    await admin.sandbox.expire('all')
    admin.room.clock.advance(4 * 3_600_000)
    const tested = await call('POST', '/connections/default/test')
    assert.equal(tested.body.error, 'needs_reconnect')
  })

  test('a removed connection is gone from the list and bumps the policy', async () => {
    const store = await stores.open()
    const admin = await openConnected(store)
    await connect(admin)
    const before = store.policyEpoch()
    const removed = await admin.call('DELETE', '/connections/default')
    assert.deepEqual([removed.status, removed.body.status], [200, 'removed'])
    assert.ok(store.policyEpoch() > before)
    assert.deepEqual((await admin.call('GET', '/connections')).body.items, [])
    assert.equal((await admin.call('DELETE', '/connections/default')).status, 404)
  })

  test('a grant is bound to the only connection, and must name one of several', async () => {
    const admin = await openConnected(await stores.open())
    const { call } = admin
    const grant = { provider: 'withings', scope: 'read' }
    const early = await call('POST', '/agents', { name: 'early', grants: [grant] })
    assert.equal(early.body.grants[0].connection, null)
    await connect(admin)
    const bound = (await call('GET', '/agents/early')).body.grants[0]
    assert.equal(bound.connection, 'default')
    const later = await call('POST', '/agents', { name: 'later', grants: [grant] })
    assert.equal(later.body.grants[0].connection, 'default')
    await connect(admin, { label: 'work' })
    const unnamed = await call('POST', '/agents', { name: 'which', grants: [grant] })
    assert.deepEqual(
      [unnamed.body.error, unnamed.body.connections],
      ['connection_required', ['default', 'work']],
    )
    const named = { ...grant, connection: 'work' }
    const created = await call('POST', '/agents', { name: 'which', grants: [named] })
    assert.equal(created.body.grants[0].connection, 'work')
  })

  test('connections come in pages', async () => {
    const admin = await openConnected(await stores.open())
    for (const label of ['a', 'b', 'c']) await connect(admin, { label })
    const first = (await admin.call('GET', '/connections?limit=2')).body
    const rest = (await admin.call('GET', `/connections?limit=2&cursor=${first.next_cursor}`)).body
    const labels = [...first.items, ...rest.items].map(({ label }: { label: string }) => label)
    assert.deepEqual(labels, ['a', 'b', 'c'])
    assert.equal(rest.next_cursor, null)
  })

  test('a pasted credential makes a connection, is tested, and comes out nowhere', async () => {
    const provider = await startKeyProvider()
    provider.knows('ghp_secret', 7)
    const { call } = await openAdmin(await stores.open(), testClock(), provider.sandboxes)
    const input = { provider: 'github', credential: ' ghp_secret\n', label: 'work', owner: 'u-1' }
    const made = await call('POST', '/connections', input)
    assert.equal(made.status, 201, JSON.stringify(made.body))
    assert.deepEqual(
      [made.body.account, made.body.account_name, made.body.application_id, made.body.owner],
      ['7', 'ada', null, 'u-1'],
    )
    const shown = await call('GET', '/connections/github@work')
    assert.deepEqual(shown.body, made.body)
    const tested = await call('POST', '/connections/work/test')
    assert.deepEqual([tested.status, tested.body.status], [200, 'connected'])
    provider.forgets('ghp_secret')
    const dead = await call('POST', '/connections/work/test')
    assert.deepEqual([dead.status, dead.body.error], [409, 'needs_reconnect'])
    const refused = await call('POST', '/connections', { ...input, credential: 'ghp_wrong' })
    assert.deepEqual([refused.status, refused.body.reason], [400, 'credential_refused'])
    const answers = JSON.stringify([made, shown, tested, dead, refused])
    for (const secret of ['ghp_secret', 'ghp_wrong']) assert.ok(!answers.includes(secret))
  })

  test('a credential that is missing, empty or misspelt is named, and nothing is sent', async () => {
    const provider = await startKeyProvider()
    const { call } = await openAdmin(await stores.open(), testClock(), provider.sandboxes)
    const wrong: [member: RegExp, input: object][] = [
      [/^credential: /, { provider: 'github' }],
      [/^credential: /, { provider: 'github', credential: ' ' }],
      [/^credential: /, { provider: 'github', credential: 'x'.repeat(5_000) }],
      [/"token"/, { provider: 'github', credential: 'x', token: 'y' }],
    ]
    for (const [member, input] of wrong) {
      const { status, body } = await call('POST', '/connections', input)
      assert.equal(status, 400)
      assert.match(body.message, member)
    }
    assert.equal(provider.seen.length, 0)
  })

  test('a provider says how it is connected', async () => {
    const { call } = await openAdmin(await stores.open())
    const { body: github } = await call('GET', '/providers/github')
    assert.deepEqual(
      [github.auth.scheme, github.auth.credential, github.redirect_uri, github.scopes],
      ['api_key', 'personal access token', null, []],
    )
    const { body: withings } = await call('GET', '/providers/withings')
    assert.deepEqual([withings.auth.scheme, withings.auth.credential], ['oauth2', null])
    assert.match(withings.redirect_uri, /\/connect\/callback\/withings$/)
  })
})

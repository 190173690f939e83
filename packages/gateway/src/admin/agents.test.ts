import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import { recordsOf, testClock, wholeLog } from '../connections/testing.ts'
import { findServiceToken } from '../store/service-token.ts'
import { forEachStore } from '../store/testing.ts'
import { hashServiceToken, isServiceToken } from '../tokens/service-token.ts'
import { openAdmin } from './testing.ts'

const read = { provider: 'withings', scope: 'read' }

forEachStore((stores) => {
  test('an agent is created with its grants, and its service token is shown once', async () => {
    const store = await stores.open()
    const { call } = await openAdmin(store)
    const created = await call('POST', '/agents', { name: 'coach', grants: [read] })
    assert.equal(created.status, 201)
    const { service_token: token, ...agent } = created.body
    assert.ok(isServiceToken(token))
    assert.deepEqual([agent.name, agent.status, agent.grants[0].scope], ['coach', 'active', 'read'])
    assert.equal((await findServiceToken(store.db, hashServiceToken(token)))?.agent_id, agent.id)
    const shown = await call('GET', '/agents/coach')
    assert.deepEqual(shown.body, agent)
    assert.ok(!JSON.stringify(shown.body).includes(token))
    assert.ok(!(await wholeLog(store)).includes(token))
  })

  test('creating an agent is recorded, its name as a private field', async () => {
    const store = await stores.open()
    const { call } = await openAdmin(store)
    const { body } = await call('POST', '/agents', { name: 'coach', grants: [read] })
    const [created] = await recordsOf(store, 'agent.created')
    const [granted] = await recordsOf(store, 'grant.created')
    assert.equal(created?.agent, body.id)
    assert.deepEqual([granted?.provider, granted?.scope], ['withings', 'read'])
    assert.deepEqual(Object.keys(created?.agent_name ?? {}), ['sha256'])
  })

  test('a name is taken once, even when two ask at the same time', async () => {
    const store = await stores.open()
    const { call } = await openAdmin(store)
    const both = await Promise.all([1, 2].map(() => call('POST', '/agents', { name: 'coach' })))
    assert.deepEqual(both.map(({ status }) => status).sort(), [201, 409])
    assert.equal((await recordsOf(store, 'agent.created')).length, 1)
  })

  test('a rotation leaves two tokens valid until the grace period ends', async () => {
    const clock = testClock()
    const store = await stores.open(clock)
    const { call } = await openAdmin(store, clock)
    const { body: created } = await call('POST', '/agents', { name: 'coach' })
    const rotation = { grace_seconds: 60 }
    const rotated = await call('POST', '/agents/coach/service-tokens', rotation)
    assert.equal(rotated.status, 201)
    assert.notEqual(rotated.body.service_token, created.service_token)
    const statuses = async () =>
      (await call('GET', '/agents/coach')).body.service_tokens
        .map((token: { status: string }) => token.status)
        .sort()
    assert.deepEqual(await statuses(), ['active', 'active'])
    clock.advance(61_000)
    assert.deepEqual(await statuses(), ['active', 'expired'])
  })

  test('a revocation opens a new policy epoch and is for good', async () => {
    const store = await stores.open()
    const { call } = await openAdmin(store)
    await call('POST', '/agents', { name: 'coach' })
    const before = store.policyEpoch()
    const revoked = await call('POST', '/agents/coach/revoke')
    assert.deepEqual([revoked.status, revoked.body.status], [200, 'revoked'])
    assert.ok(store.policyEpoch() > before)
    for (const again of [
      await call('POST', '/agents/coach/revoke'),
      await call('POST', '/agents/coach/grants', read),
      await call('POST', '/agents/coach/service-tokens', {}),
    ]) {
      assert.deepEqual([again.status, again.body.error], [409, 'conflict'])
    }
  })

  test('an agent may be leased, and its lease be renewed and given back, on record', async () => {
    const clock = testClock()
    const store = await stores.open(clock)
    const { call } = await openAdmin(store, clock)
    const wish = { name: 'run-sh-1', grants: [read], lease_seconds: 30 }
    const { body: created } = await call('POST', '/agents', wish)
    assert.equal(created.lease_seconds, 30)
    assert.equal(Date.parse(created.lives_until) - Date.parse(created.created_at), 30_000)
    assert.equal((await recordsOf(store, 'agent.created'))[0]?.lease_seconds, 30)
    clock.advance(10_000)
    const renewed = await call('PUT', '/agents/run-sh-1/lease')
    assert.equal(renewed.status, 200)
    const until = Date.parse(renewed.body.lives_until)
    assert.ok(until >= Date.parse(created.lives_until) + 10_000)
    assert.equal((await call('GET', '/agents/run-sh-1')).body.lives_until, renewed.body.lives_until)
    const ended = await call('DELETE', '/agents/run-sh-1/lease')
    assert.deepEqual([ended.status, ended.body.status], [200, 'revoked'])
    assert.equal((await recordsOf(store, 'agent.revoked'))[0]?.reason, 'lease_ended')
  })

  test('a lease of an agent that was revoked is not renewed, and others have none', async () => {
    const store = await stores.open()
    const { call } = await openAdmin(store)
    await call('POST', '/agents', { name: 'run-sh-1', lease_seconds: 30 })
    await call('POST', '/agents', { name: 'coach' })
    await call('POST', '/agents/run-sh-1/revoke')
    for (const name of ['run-sh-1', 'coach']) {
      for (const method of ['PUT', 'DELETE']) {
        const { status, body } = await call(method, `/agents/${name}/lease`)
        assert.deepEqual([status, body.error], [409, 'conflict'], `${method} ${name}`)
      }
    }
    const statuses = async (query: string) =>
      (await call('GET', `/agents${query}`)).body.items.map(({ name }: { name: string }) => name)
    assert.deepEqual(await statuses('?status=active'), ['coach'])
    assert.deepEqual(await statuses('?status=revoked'), ['run-sh-1'])
    assert.equal((await statuses('')).length, 2)
    assert.equal((await call('GET', '/agents/coach')).body.lives_until, null)
  })

  test('a lease is 5 seconds to an hour', async () => {
    const { call } = await openAdmin(await stores.open())
    for (const lease_seconds of [0, 4, 3601, 30.5, '30']) {
      const { status, body } = await call('POST', '/agents', { name: 'run-sh-1', lease_seconds })
      assert.deepEqual([status, body.error], [400, 'invalid_request'], `${lease_seconds}`)
    }
  })

  test('a grant takes the place of the one for the same connection', async () => {
    const store = await stores.open()
    const { call } = await openAdmin(store)
    await call('POST', '/agents', { name: 'coach', grants: [read] })
    const except = ['user.unlink']
    const wider = { provider: 'withings', scope: 'delete', except }
    const granted = await call('POST', '/agents/coach/grants', wider)
    assert.equal(granted.status, 201)
    const { grants } = (await call('GET', '/agents/coach')).body
    assert.deepEqual(grants, [granted.body])
    assert.deepEqual([grants[0].scope, grants[0].except], ['delete', except])
    assert.equal((await recordsOf(store, 'grant.replaced')).length, 1)
  })

  test('a grant is taken away by its id, and no other agent can be named with it', async () => {
    const store = await stores.open()
    const { call } = await openAdmin(store)
    const { body: coach } = await call('POST', '/agents', { name: 'coach', grants: [read] })
    await call('POST', '/agents', { name: 'other' })
    const id = coach.grants[0].id
    assert.equal((await call('DELETE', `/agents/other/grants/${id}`)).status, 404)
    assert.equal((await call('DELETE', `/agents/coach/grants/${id}`)).status, 200)
    assert.deepEqual((await call('GET', '/agents/coach')).body.grants, [])
  })

  test('a list goes on where its cursor says', async () => {
    const store = await stores.open()
    const { call } = await openAdmin(store)
    for (const name of ['a', 'b', 'c']) await call('POST', '/agents', { name })
    const first = (await call('GET', '/agents?limit=2')).body
    const second = (await call('GET', `/agents?limit=2&cursor=${first.next_cursor}`)).body
    const names = [...first.items, ...second.items].map((agent) => agent.name)
    assert.deepEqual(names.sort(), ['a', 'b', 'c'])
    assert.equal(second.next_cursor, null)
    assert.equal((await call('GET', '/agents?cursor=agt_none')).body.error, 'invalid_request')
  })

  test('what an operator may get wrong is told by name', async () => {
    const store = await stores.open()
    const { call } = await openAdmin(store)
    await call('POST', '/agents', { name: 'coach' })
    for (const [path, body, code, message] of [
      ['/agents', { name: 'a b' }, 'invalid_request', /^name: must be 1 to 64 letters/],
      ['/agents', {}, 'invalid_request', /^name: /],
      ['/agents', { name: 'x', grants: [read, read] }, 'invalid_request', /granted twice/],
      ['/agents', { name: 'x', expires_in_seconds: 1 }, 'invalid_request', /^expires_in_seconds: /],
      ['/agents/coach/grants', { ...read, scope: 'admin' }, 'invalid_request', /^scope: must be/],
      ['/agents/coach/grants', { ...read, excpet: ['a'] }, 'invalid_request', /excpet/],
      ['/agents/coach/grants', { ...read, only: ['no.rule'] }, 'invalid_request', /"no\.rule"/],
      [
        '/agents/coach/grants',
        { ...read, constraints: { repo: 'a' } },
        'invalid_request',
        /"repo"/,
      ],
      [
        '/agents/coach/grants',
        { ...read, only: ['measure.getmeas', 'user.unlink'] },
        'invalid_request',
        /^only: user\.unlink needs the scope delete, and this grant ends at read\.$/,
      ],
      [
        '/agents/coach/grants',
        { ...read, only: ['measure.getmeas'], except: ['measure.getmeas'] },
        'invalid_request',
        /both name measure\.getmeas/,
      ],
      ['/agents/coach/grants', { ...read, provider: 'x' }, 'unknown_provider', /"x".*withings/],
      ['/agents/coach/grants', { ...read, connection: 'work' }, 'not_found', /"work"/],
      ['/agents/nobody/grants', read, 'not_found', /"nobody"/],
    ] as const) {
      const answered = await call('POST', path, body)
      assert.equal(answered.body.error, code, JSON.stringify(body))
      assert.match(answered.body.message, message)
      assert.equal(answered.headers.get('okoro-error'), code)
    }
  })

  test('what is no JSON is refused before anything is done', async () => {
    const store = await stores.open()
    const { routes } = await openAdmin(store)
    const post = async (body: string, type: string) => {
      const init = { method: 'POST', body, headers: { 'content-type': type } }
      return await routes.request('/api/v1/agents', init)
    }
    assert.equal((await post('{"name":"a"}', 'text/plain')).status, 400)
    assert.equal((await post('{"name":', 'application/json')).status, 400)
    assert.equal((await post(`"${'a'.repeat(70_000)}"`, 'application/json')).status, 413)
  })

  test('nothing changes while the log cannot be written, and all does again afterwards (P3)', async () => {
    const store = await stores.open()
    const { call, faults } = await openAdmin(store)
    await call('POST', '/agents', { name: 'coach', grants: [read] })
    await sql`alter table record rename to away`.execute(store.db)
    for (const [path, body] of [
      ['/agents', { name: 'other' }],
      ['/agents/coach/grants', { ...read, scope: 'all' }],
      ['/agents/coach/revoke', undefined],
    ] as const) {
      const answered = await call('POST', path, body)
      assert.deepEqual([answered.status, answered.body.error], [503, 'audit_unavailable'], path)
      assert.equal(answered.headers.get('retry-after'), '1')
    }
    assert.equal(faults.length, 3)
    await sql`alter table away rename to record`.execute(store.db)
    const { items } = (await call('GET', '/agents')).body
    assert.deepEqual(
      items.map((agent: Agent) => [agent.name, agent.status, agent.grants[0]?.scope]),
      [['coach', 'active', 'read']],
    )
    assert.equal((await call('POST', '/agents/coach/revoke')).status, 200)
  })
})

type Agent = { name: string; status: string; grants: { scope: string }[] }

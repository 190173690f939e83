import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '../secret.ts'
import { insertGrant, listGrants } from '../store/grant.ts'
import { forEachStore } from '../store/testing.ts'
import { addApplication } from './applications.ts'
import { beginFlow } from './connect.ts'
import { listConnections, removeConnection } from './connections.ts'
import { createCredentials } from './credentials.ts'
import { connectPasted, type PasteRequest } from './paste.ts'
import {
  granted,
  openRoom,
  type Room,
  recordsOf,
  refused,
  startKeyProvider,
  testClock,
  wholeLog,
} from './testing.ts'

const key = 'ghp_0123456789abcdefghij'

const paste = (room: Room, request: Partial<Omit<PasteRequest, 'credential'>> = {}, text = key) =>
  connectPasted(room, { provider: 'github', ...request, credential: new Secret(text) })

forEachStore((stores) => {
  async function start() {
    const clock = testClock()
    const provider = await startKeyProvider()
    provider.knows(key, 7)
    const store = await stores.open(clock)
    const room = await openRoom(store, clock, provider.sandboxes)
    return { clock, provider, store, room }
  }

  test('a key is tried once and becomes a connection to the account that it is of', async () => {
    const { room, provider, store } = await start()
    const { connection, isReconnected } = granted(
      await paste(room, { label: 'mine', owner: 'user-7' }),
    )
    assert.equal(isReconnected, false)
    assert.deepEqual(
      [connection.account, connection.accountName, connection.label, connection.owner],
      ['7', 'ada', 'mine', 'user-7'],
    )
    assert.deepEqual(
      [connection.applicationId, connection.generation, connection.expiresAt, connection.sandbox],
      [null, 1, null, true],
    )
    assert.equal(provider.seen.length, 1)
    const [record] = await recordsOf(store, 'connection.connected')
    assert.deepEqual(
      [record?.connection, record?.provider, record?.application, record?.generation],
      [connection.id, 'github', null, 1],
    )
    const taken = granted(await createCredentials(room).take(connection.id))
    const { hosts, secrets } = taken.credential.reveal()
    assert.deepEqual([hosts, Object.values(secrets)], [[...provider.sandboxes.values()], [key]])
    assert.equal(taken.isRenewable, false)
  })

  test('the call that tries a key has what the provider demands, and the key in its slot alone', async () => {
    const { room, provider } = await start()
    granted(await paste(room))
    const [raw = []] = provider.seen
    const pairs = raw.flatMap((name, at) =>
      at % 2 === 0 ? [[name.toLowerCase(), raw[at + 1]]] : [],
    )
    const headers = Object.fromEntries(pairs)
    assert.equal(headers.authorization, `Bearer ${key}`)
    assert.equal(headers['user-agent'], 'okoro')
    assert.equal(raw.join().split(key).length, 2)
  })

  test('grants that wait for a first connection are bound to it', async () => {
    const { room, store } = await start()
    const grant = {
      ...{ id: 'gra_1', agentId: 'agt_1', provider: 'github', scope: 'read' as const },
      ...{ connectionId: null, owner: null, only: null, except: [], constraints: {} },
    }
    await store.write({ statements: [insertGrant(store.db, grant, 0)], records: [] })
    const { connection } = granted(await paste(room))
    const [bound] = await listGrants(store.db, 'agt_1')
    assert.equal(bound?.connectionId, connection.id)
    const [record] = await recordsOf(store, 'grant.bound')
    assert.deepEqual([record?.grant, record?.connection], ['gra_1', connection.id])
  })

  test('a key that the provider refuses connects nothing, says what helps, and is on record', async () => {
    const { room, store } = await start()
    const refusal = refused(await paste(room, {}, 'ghp_wrong'))
    assert.equal(refusal.code, 'invalid_request')
    assert.match(refusal.message, /GitHub said: HTTP 401 Bad credentials/)
    assert.match(refusal.message, /Make a personal access token at https:\/\/docs\.github\.com/)
    assert.match(refusal.message, /Nothing was connected.*all of it was pasted.*not expired/)
    assert.deepEqual(await listConnections(room), [])
    const [record] = await recordsOf(store, 'connection.failed')
    assert.deepEqual([record?.reason, record?.provider], ['credential_refused', 'github'])
  })

  test('neither a key that works nor one that does not stands in an answer or in the log', async () => {
    const { room, store } = await start()
    granted(await paste(room))
    // This provider repeats the key that it refuses.
    const refusal = refused(await paste(room, { label: 'other' }, 'ghp_wrong'))
    assert.match(refusal.message, /\[redacted\]/)
    const text = `${JSON.stringify(refusal)}${await wholeLog(store)}`
    for (const secret of [key, 'ghp_wrong']) assert.ok(!text.includes(secret))
  })

  const untold: [what: string, answer: { status?: number; body: object | string }][] = [
    ['a 403, which valid keys get too', { status: 403, body: { message: 'Slow down' } }],
    ['a failure of the provider', { status: 502, body: '<html>' }],
    ['a redirect', { status: 301, body: {} }],
    ['an answer that names no account', { body: { login: 'ada' } }],
    ['an account that is no id', { body: { id: { x: 1 }, login: 'ada' } }],
    ['an answer that is no JSON', { body: '<html>' }],
    ['an answer of more than 64 KiB', { body: 'x'.repeat(70_000) }],
  ]

  for (const [what, given] of untold) {
    test(`${what} connects nothing and calls no key bad`, async () => {
      const { room, provider, store } = await start()
      provider.answers(key, given)
      const refusal = refused(await paste(room))
      assert.equal(refusal.code, 'upstream_unreachable')
      assert.match(refusal.message, /Whether it works is not known/)
      assert.deepEqual(await listConnections(room), [])
      const [record] = await recordsOf(store, 'connection.failed')
      assert.equal(record?.reason, 'credential_untried')
    })
  }

  test('what cannot stand in a header is refused before anything is sent', async () => {
    const { room, provider } = await start()
    for (const text of ['', 'a b', 'a\r\nx-y: z', 'ä', 'a\0', `Bearer ${key}`]) {
      const refusal = refused(await paste(room, {}, text))
      assert.equal(refusal.code, 'invalid_request')
      assert.match(refusal.message, /^credential: a personal access token has no blanks/)
    }
    assert.equal(provider.seen.length, 0)
  })

  test('a label that is taken is told before the key is tried', async () => {
    const { room, provider } = await start()
    const { connection } = granted(await paste(room))
    const refusal = refused(await paste(room))
    assert.deepEqual([refusal.code, refusal.members.connection_id], ['conflict', connection.id])
    assert.equal(provider.seen.length, 1)
    granted(await paste(room, { label: 'second' }))
  })

  test('another key of the same account keeps the generation, and the old key is gone', async () => {
    const { room, provider, store } = await start()
    const { connection } = granted(await paste(room, { owner: 'user-7' }))
    provider.knows('ghp_newer', 7, 'ada-lovelace')
    const credentials = createCredentials(room)
    granted(await credentials.take(connection.id))
    const again = granted(await paste(room, { connectionId: connection.id }, 'ghp_newer'))
    assert.equal(again.isReconnected, true)
    assert.deepEqual(
      [again.connection.id, again.connection.generation, again.connection.owner],
      [connection.id, 1, 'user-7'],
    )
    assert.equal(again.connection.accountName, 'ada-lovelace')
    const taken = granted(await credentials.take(connection.id))
    assert.deepEqual(Object.values(taken.credential.reveal().secrets), ['ghp_newer'])
    assert.equal((await recordsOf(store, 'connection.reconnected')).length, 1)
  })

  test('a key of another account is refused, and taken with a new generation when that is meant', async () => {
    const { room, provider } = await start()
    const { connection } = granted(await paste(room))
    provider.knows('ghp_other', 8, 'grace')
    const request = { connectionId: connection.id }
    const refusal = refused(await paste(room, request, 'ghp_other'))
    assert.equal(refusal.members.reason, 'account_changed')
    const [before] = await listConnections(room)
    assert.deepEqual([before?.account, before?.generation], ['7', 1])
    const changed = await paste(room, { ...request, confirmAccountChange: true }, 'ghp_other')
    const { account, accountName, generation } = granted(changed).connection
    assert.deepEqual([account, accountName, generation], ['8', 'grace', 2])
  })

  test('a removed connection is not made anew, and its label is free again', async () => {
    const { room } = await start()
    const { connection } = granted(await paste(room))
    granted(await removeConnection(room, createCredentials(room), connection.id))
    assert.equal(refused(await paste(room, { connectionId: connection.id })).code, 'not_found')
    assert.notEqual(granted(await paste(room)).connection.id, connection.id)
  })

  test('a key that was pasted for a sandbox is never used with the real provider', async () => {
    const { room, store, clock } = await start()
    const { connection } = granted(await paste(room))
    const real = await openRoom(store, clock, null)
    const refusal = refused(await createCredentials(real).take(connection.id))
    assert.match(refusal.message, /made with the sandbox/)
    const over = refused(await paste(real, { connectionId: connection.id }))
    assert.equal(over.code, 'conflict')
  })

  test('each provider is connected in its own way, and the other way says so', async () => {
    const { room } = await start()
    const begun = refused(await beginFlow(room, { provider: 'github' }))
    assert.match(begun.message, /no consent page.*okoro connections add github/)
    const secret = new Secret('x')
    const added = await addApplication(room, { provider: 'github', clientId: 'a', secret })
    assert.match(refused(added).message, /GitHub needs no application/)
    const pasted = refused(await paste(room, { provider: 'withings' }))
    assert.match(pasted.message, /on its own consent page/)
    assert.equal(refused(await paste(room, { provider: 'nobody' })).code, 'unknown_provider')
  })
})

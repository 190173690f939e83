import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '../secret.ts'
import { forEachStore } from '../store/testing.ts'
import { showConnection, testConnection } from './connections.ts'
import { createCredentials } from './credentials.ts'
import { createProber } from './doubt.ts'
import { connectPasted } from './paste.ts'
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
const minuteMs = 60_000

forEachStore((stores) => {
  async function start() {
    const clock = testClock()
    const provider = await startKeyProvider()
    provider.knows(key, 7)
    const store = await stores.open(clock)
    const room = await openRoom(store, clock, provider.sandboxes)
    const request = { provider: 'github', credential: new Secret(key) }
    const { connection } = granted(await connectPasted(room, request))
    provider.seen.length = 0
    return { clock, provider, store, room, id: connection.id, prober: createProber(room) }
  }

  const statusOf = async (room: Room, id: string) => granted(await showConnection(room, id)).status

  test('a refused call costs no connection whose key the provider still takes', async () => {
    const { room, id, prober, provider, store } = await start()
    await prober.doubt(id, 1)
    assert.equal(provider.seen.length, 1)
    assert.equal(await statusOf(room, id), 'connected')
    const [record] = await recordsOf(store, 'credential.probed')
    assert.deepEqual([record?.connection, record?.judged], [id, 'accepted'])
  })

  test('an agent that provokes refusals makes the gateway ask once a minute', async () => {
    const { id, prober, provider, clock } = await start()
    await Promise.all(Array.from({ length: 50 }, () => prober.doubt(id, 1)))
    await prober.doubt(id, 1)
    clock.advance(minuteMs - 1_000)
    await prober.doubt(id, 1)
    assert.equal(provider.seen.length, 1)
    clock.advance(1_000)
    await prober.doubt(id, 1)
    assert.equal(provider.seen.length, 2)
  })

  test('a key that is refused there too makes the connection say so, and nothing is sent any more', async () => {
    const { room, id, prober, provider, store } = await start()
    const credentials = createCredentials(room)
    granted(await credentials.take(id))
    provider.forgets(key)
    await prober.doubt(id, 1)
    const connection = granted(await showConnection(room, id))
    assert.equal(connection.status, 'needs_reconnect')
    assert.match(connection.reason ?? '', /GitHub no longer accepts its credential \(HTTP 401 Bad/)
    assert.equal(refused(await credentials.take(id)).code, 'needs_reconnect')
    const kinds = ['credential.probed', 'connection.needs_reconnect']
    const records = await Promise.all(kinds.map((kind) => recordsOf(store, kind)))
    assert.deepEqual(
      records.map(([first]) => first?.connection),
      [id, id],
    )
    assert.ok(!(await wholeLog(store)).includes(key))
    assert.ok(!connection.reason?.includes(key))
  })

  test('a key pasted over it is taken at once, and doubted anew', async () => {
    const { room, id, prober, provider } = await start()
    provider.forgets(key)
    await prober.doubt(id, 1)
    provider.knows('ghp_newer', 7)
    const request = { provider: 'github', credential: new Secret('ghp_newer') }
    const { connection } = granted(await connectPasted(room, request))
    assert.deepEqual([connection.id, connection.generation], [id, 1])
    granted(await createCredentials(room).take(id))
    provider.forgets('ghp_newer')
    await prober.doubt(id, 3)
    assert.equal(await statusOf(room, id), 'needs_reconnect')
  })

  test('a refusal of an older key says nothing about the newer one', async () => {
    const { room, id, prober, provider } = await start()
    provider.knows('ghp_newer', 7)
    const request = { provider: 'github', connectionId: id, credential: new Secret('ghp_newer') }
    granted(await connectPasted(room, request))
    provider.seen.length = 0
    provider.forgets(key)
    await prober.doubt(id, 1)
    assert.equal(provider.seen.length, 0)
    assert.equal(await statusOf(room, id), 'connected')
  })

  for (const [status, body] of [
    [403, { message: 'Maximum number of login attempts exceeded.' }],
    [429, {}],
    [500, '<html>'],
    [404, {}],
  ] as const) {
    test(`a ${status} to the probe proves nothing against a key`, async () => {
      const { room, id, prober, provider, store } = await start()
      provider.answers(key, { status, body })
      await prober.doubt(id, 1)
      assert.equal(await statusOf(room, id), 'connected')
      const [record] = await recordsOf(store, 'credential.probed')
      assert.equal(record?.judged, 'unknown')
    })
  }

  test('a test of a connection tries its key, and finds out when it is taken back', async () => {
    const { room, id, provider } = await start()
    const credentials = createCredentials(room)
    assert.equal(granted(await testConnection(room, credentials, id)).status, 'connected')
    assert.equal(provider.seen.length, 1)
    provider.answers(key, { status: 503, body: {} })
    const busy = refused(await testConnection(room, credentials, id))
    assert.equal(busy.code, 'upstream_unreachable')
    assert.equal(await statusOf(room, id), 'connected')
    provider.forgets(key)
    const dead = refused(await testConnection(room, credentials, id))
    assert.match(dead.message, /okoro connections add github --label "default"/)
    assert.equal(await statusOf(room, id), 'needs_reconnect')
  })

  test('a catalogue that moves the probe moves no key there', async () => {
    const { room, id, provider } = await start()
    const github = room.catalog.providers.get('github')
    assert.ok(github?.auth.scheme === 'api_key')
    const probe = { ...github.auth.probe, url: 'https://elsewhere.example/user' }
    const moved = { ...github, auth: { ...github.auth, probe } }
    const catalog = { providers: new Map([['github', moved]]) }
    const refusal = await createProber({ ...room, catalog }).probe(id)
    assert.match(refusal?.message ?? '', /may not be sent/)
    assert.equal(provider.seen.length, 0)
  })
})

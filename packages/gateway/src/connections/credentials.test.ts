import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { Malfunction } from '../errors.ts'
import type { Store } from '../store/store.ts'
import { forEachStore } from '../store/testing.ts'
import { removeConnection, showConnection, testConnection } from './connections.ts'
import { createCredentials, type Taken } from './credentials.ts'
import {
  addTestApplication,
  connectAccount,
  granted,
  openRoom,
  type Room,
  recordsOf,
  refused,
  startSandbox,
  testClock,
  wholeLog,
} from './testing.ts'

const minuteMs = 60_000
const lifetimeMs = 180 * minuteMs

const tokenOf = (taken: Taken): string => taken.credential.reveal().secrets.access_token ?? ''

forEachStore((stores) => {
  async function start() {
    const clock = testClock()
    const sandbox = await startSandbox(clock)
    const store = await stores.open(clock)
    const room = await openRoom(store, clock, sandbox.url)
    await addTestApplication(room, sandbox)
    const { connection } = await connectAccount(room)
    return { clock, sandbox, store, room, id: connection.id }
  }

  test('a credential is opened once, works, and is sealed for its hosts alone', async () => {
    const { room, sandbox, id } = await start()
    let opened = 0
    const vault: Room['vault'] = {
      ...room.vault,
      open: (place, sealed) => {
        opened += 1
        return room.vault.open(place, sealed)
      },
    }
    const credentials = createCredentials({ ...room, vault })
    const first = granted(await credentials.take(id))
    const second = granted(await credentials.take(id))
    assert.equal(opened, 1)
    assert.equal(tokenOf(first), tokenOf(second))
    assert.deepEqual(first.credential.reveal().hosts, [sandbox.url])
    assert.equal(await sandbox.call(tokenOf(first)), 0)
  })

  test('a warm credential is taken without a look at the database', async () => {
    const { room, store, id } = await start()
    const credentials = createCredentials(room)
    granted(await credentials.take(id))
    await store.close()
    granted(await credentials.take(id))
  })

  test('at four fifths of its life it is renewed while the old one still serves', async () => {
    const { room, store, clock, sandbox, id } = await start()
    const credentials = createCredentials(room)
    const old = granted(await credentials.take(id))
    clock.advance(lifetimeMs * 0.8 - minuteMs)
    await credentials.take(id)
    assert.equal(await sandbox.tokenCalls('refresh_token'), 0)
    clock.advance(2 * minuteMs)
    assert.equal(granted(await credentials.take(id)).version, old.version)
    const fresh = await until(async () => {
      const taken = granted(await credentials.take(id))
      return taken.version > old.version ? taken : null
    })
    assert.notEqual(tokenOf(fresh), tokenOf(old))
    assert.equal(await sandbox.call(tokenOf(fresh)), 0)
    assert.equal(await sandbox.tokenCalls('refresh_token'), 1)
    const [record] = await recordsOf(store, 'credential.refreshed')
    assert.deepEqual([record?.connection, record?.sandbox], [id, true])
  })

  test('many calls at its end wait for one refresh, and a second process joins in', async () => {
    const { room, clock, sandbox, id } = await start()
    const credentials = createCredentials(room)
    clock.advance(lifetimeMs)
    const taken = await Promise.all(Array.from({ length: 20 }, () => credentials.take(id)))
    const tokens = new Set(taken.map((each) => tokenOf(granted(each))))
    assert.equal(tokens.size, 1)
    assert.equal(await sandbox.call([...tokens][0] ?? ''), 0)
    const elsewhere = granted(await createCredentials(room).take(id))
    assert.ok(tokens.has(tokenOf(elsewhere)))
    assert.equal(await sandbox.tokenCalls('refresh_token'), 1)
  })

  test('a caller who leaves does not end the refresh', async () => {
    const { room, clock, sandbox, id } = await start()
    const credentials = createCredentials(room)
    clock.advance(lifetimeMs)
    await sandbox.fault({ kind: 'slow', delay_ms: 300 })
    await Promise.race([credentials.take(id), wait(50)])
    const taken = granted(await credentials.take(id))
    assert.equal(await sandbox.call(tokenOf(taken)), 0)
    assert.equal(await sandbox.tokenCalls('refresh_token'), 1)
  })

  test('a credential that the provider called expired is renewed once for all who ask', async () => {
    const { room, sandbox, id } = await start()
    const credentials = createCredentials(room)
    const old = granted(await credentials.take(id))
    await sandbox.expire('access')
    const renewed = await Promise.all([1, 2, 3].map(() => credentials.renew(id, old.version)))
    const late = await credentials.renew(id, old.version)
    const tokens = new Set([...renewed, late].map((each) => tokenOf(granted(each))))
    assert.equal(tokens.size, 1)
    assert.equal(await sandbox.tokenCalls('refresh_token'), 1)
    assert.equal(await sandbox.call([...tokens][0] ?? ''), 0)
  })

  test('what another process renewed is taken over, not renewed again', async () => {
    const { room, sandbox, id } = await start()
    const [here, there] = [createCredentials(room), createCredentials(room)]
    const old = granted(await here.take(id))
    granted(await there.take(id))
    await sandbox.expire('access')
    const renewed = granted(await there.renew(id, old.version))
    const taken = granted(await here.renew(id, old.version))
    assert.equal(tokenOf(taken), tokenOf(renewed))
    assert.equal(await sandbox.tokenCalls('refresh_token'), 1)
  })

  test('two processes that want to refresh at the same moment refresh once', async () => {
    const { room, store, clock, sandbox, id } = await start()
    clock.advance(lifetimeMs)
    await sandbox.fault({ kind: 'slow', delay_ms: 300, times: 2 })
    const processes = [createCredentials(room), createCredentials(room)]
    const taken = await Promise.all(processes.map(async (each) => granted(await each.take(id))))
    assert.equal(await sandbox.tokenCalls('refresh_token'), 1)
    assert.equal(new Set(taken.map(tokenOf)).size, 1)
    assert.deepEqual(await recordsOf(store, 'credential.refresh_overlapped'), [])
  })

  test('a holder that outlives its lease ends with the other’s credential, and it is on record', async () => {
    const { room, store, clock, sandbox, id } = await start()
    clock.advance(lifetimeMs)
    await sandbox.fault({ kind: 'slow', delay_ms: 1_000 })
    const late = createCredentials(room).take(id)
    await until(async () => (await sandbox.tokenCalls('refresh_token')) || null)
    await store.db.updateTable('lease').set({ expires_at: 0 }).execute()
    const next = granted(await createCredentials(room).take(id))
    assert.equal(tokenOf(granted(await late)), tokenOf(next))
    assert.equal(await sandbox.tokenCalls('refresh_token'), 2)
    assert.equal((await recordsOf(store, 'credential.refreshed')).length, 1)
    assert.equal((await recordsOf(store, 'credential.refresh_overlapped')).length, 1)
  })

  test('a refresh that failed leaves its turn to another process at once', async () => {
    const { room, clock, sandbox, id } = await start()
    clock.advance(lifetimeMs)
    await sandbox.fault({ kind: 'http', status: 500 })
    refused(await createCredentials(room).take(id))
    granted(await createCredentials(room).take(id))
    assert.equal(await sandbox.tokenCalls('refresh_token'), 2)
  })

  test('an answer without a refresh token keeps the old one', async () => {
    const { room, clock, id } = await start()
    const fetch: Room['fetch'] = async (url, options) => {
      const answer = (await (await room.fetch(url, options)).json()) as { body: object }
      return Response.json({ ...answer, body: { ...answer.body, refresh_token: undefined } })
    }
    const before = granted(await createCredentials(room).take(id))
    clock.advance(lifetimeMs)
    const after = granted(await createCredentials({ ...room, fetch }).take(id))
    const refreshTokenOf = ({ credential }: Taken) => credential.reveal().secrets.refresh_token
    assert.notEqual(tokenOf(after), tokenOf(before))
    assert.equal(refreshTokenOf(after), refreshTokenOf(before))
  })

  test('new tokens are durable before anyone gets them', async () => {
    const { room, clock, id } = await start()
    clock.advance(lifetimeMs)
    const taken = granted(await createCredentials(room).take(id))
    const again = granted(await createCredentials(room).take(id))
    assert.equal(tokenOf(again), tokenOf(taken))
    assert.equal(again.version, taken.version)
  })

  test('tokens that cannot be written are kept and written later, not asked for again', async () => {
    const { room, store, clock, sandbox, id } = await start()
    let isFull = true
    const full: Store = {
      ...store,
      write: (write) => {
        if (isFull) return Promise.reject(new Malfunction('audit_unavailable', 'The disk is full.'))
        return store.write(write)
      },
    }
    const credentials = createCredentials({ ...room, store: full })
    clock.advance(lifetimeMs)
    await assert.rejects(credentials.take(id), { code: 'audit_unavailable' })
    isFull = false
    const taken = granted(await credentials.take(id))
    assert.equal(await sandbox.call(tokenOf(taken)), 0)
    assert.equal(await sandbox.tokenCalls('refresh_token'), 1)
  })

  test('an answer that got lost between rotation and saving costs nothing', async () => {
    const { room, clock, sandbox, id } = await start()
    const credentials = createCredentials(room)
    clock.advance(lifetimeMs)
    await sandbox.fault({ kind: 'reset', after_effect: true })
    assert.equal(refused(await credentials.take(id)).code, 'upstream_unreachable')
    clock.advance(11_000)
    // The next boot knows the old refresh token only; it lives until the new access token is used.
    const taken = granted(await createCredentials(room).take(id))
    assert.equal(await sandbox.call(tokenOf(taken)), 0)
  })

  test('a dead refresh token makes the connection say so, on record, and nothing is retried', async () => {
    const { room, store, clock, sandbox, id } = await start()
    const credentials = createCredentials(room)
    granted(await credentials.take(id))
    const epoch = store.policyEpoch()
    clock.advance(lifetimeMs)
    await sandbox.expire('all')
    const refusal = refused(await credentials.take(id))
    assert.equal(refusal.code, 'needs_reconnect')
    assert.match(refusal.message, /503 Invalid Params: invalid refresh_token/)
    assert.equal(refused(await credentials.take(id)).code, 'needs_reconnect')
    assert.equal(await sandbox.tokenCalls('refresh_token'), 1)
    const { status, reason } = granted(await showConnection(room, id))
    assert.equal(status, 'needs_reconnect')
    assert.match(reason ?? '', /Withings no longer renews/)
    assert.ok(store.policyEpoch() > epoch)
    assert.equal((await recordsOf(store, 'credential.refresh_failed')).length, 1)
    assert.equal((await recordsOf(store, 'connection.needs_reconnect')).length, 1)
  })

  test('connecting again brings a dead connection back under its id', async () => {
    const { room, clock, sandbox, id } = await start()
    const credentials = createCredentials(room)
    clock.advance(lifetimeMs)
    await sandbox.expire('all')
    refused(await credentials.take(id))
    const { connection } = await connectAccount(room)
    assert.equal(connection.id, id)
    assert.equal(await sandbox.call(tokenOf(granted(await credentials.take(id)))), 0)
  })

  const passing = [
    {
      fault: { kind: 'envelope', status: 601, error: 'Too Many Requests' },
      code: 'upstream_invalid',
    },
    { fault: { kind: 'http', status: 500 }, code: 'upstream_invalid' },
    { fault: { kind: 'reset' }, code: 'upstream_unreachable' },
    { fault: { kind: 'hang' }, code: 'upstream_timeout' },
  ]
  for (const { fault, code } of passing) {
    test(`after ${fault.status ?? fault.kind} the credential stays and ten seconds pass`, async () => {
      const { room, store, clock, sandbox, id } = await start()
      const credentials = createCredentials(room)
      clock.advance(lifetimeMs)
      await sandbox.fault(fault)
      const refusal = refused(await credentials.take(id))
      assert.deepEqual([refusal.code, refusal.retryAfterSeconds], [code, 10])
      refused(await credentials.take(id))
      assert.equal(await sandbox.tokenCalls('refresh_token'), 1)
      assert.equal(granted(await showConnection(room, id)).status, 'connected')
      assert.equal((await recordsOf(store, 'credential.refresh_failed')).length, 1)
      clock.advance(10_001)
      assert.equal(await sandbox.call(tokenOf(granted(await credentials.take(id)))), 0)
    })
  }

  test('while a refresh fails ahead of expiry, the old credential serves until its end', async () => {
    const { room, clock, sandbox, id } = await start()
    const credentials = createCredentials(room)
    const old = granted(await credentials.take(id))
    clock.advance(lifetimeMs - 30_000)
    await sandbox.fault({ kind: 'http', status: 500, times: 2 })
    assert.equal(tokenOf(granted(await credentials.take(id))), tokenOf(old))
    assert.equal(await sandbox.call(tokenOf(old)), 0)
    clock.advance(40_000)
    assert.equal(refused(await credentials.take(id)).retryAfterSeconds, 20)
  })

  test('a removed connection is refused at once, elsewhere too, and its credential erased', async () => {
    const { room, store, id } = await start()
    const here = createCredentials(room)
    const elsewhere = createCredentials(room)
    granted(await elsewhere.take(id))
    const removed = granted(await removeConnection(room, here, id))
    assert.equal(removed.status, 'removed')
    assert.equal(refused(await elsewhere.take(id)).code, 'not_connected')
    const rows = await store.db.selectFrom('connection').select('sealed_credential').execute()
    assert.deepEqual(rows, [{ sealed_credential: null }])
    assert.equal((await recordsOf(store, 'connection.removed')).length, 1)
    assert.equal(refused(await removeConnection(room, here, id)).code, 'not_found')
  })

  test('a refresh that ends after the connection was removed brings nothing back', async () => {
    const { room, store, clock, sandbox, id } = await start()
    const credentials = createCredentials(room)
    clock.advance(lifetimeMs)
    await sandbox.fault({ kind: 'slow', delay_ms: 500 })
    const taking = credentials.take(id)
    await until(async () => ((await sandbox.tokenCalls('refresh_token')) > 0 ? true : null))
    granted(await removeConnection(room, credentials, id))
    assert.equal(refused(await taking).code, 'not_connected')
    const rows = await store.db.selectFrom('connection').select('sealed_credential').execute()
    assert.deepEqual(rows, [{ sealed_credential: null }])
    assert.equal((await recordsOf(store, 'credential.refresh_overlapped')).length, 1)
  })

  test('a sandbox connection is never taken for the real provider', async () => {
    const { room, store, clock, id } = await start()
    const real = await openRoom(store, clock, null)
    const refusal = refused(await createCredentials(real).take(id))
    assert.equal(refusal.code, 'needs_reconnect')
    assert.match(refusal.message, /made with the sandbox/)
    assert.equal(granted(await showConnection(room, id)).status, 'connected')
  })

  test('a catalogue that moves the token endpoint moves no credential there', async () => {
    const { room, store, clock, sandbox, id } = await start()
    const elsewhere = await startSandbox(clock)
    const moved = await openRoom(store, clock, elsewhere.url)
    clock.advance(lifetimeMs)
    const refusal = refused(await createCredentials(moved).take(id))
    assert.match(refusal.message, /where this credential may not be sent/)
    assert.equal(await elsewhere.tokenCalls('refresh_token'), 0)
    const taken = granted(await createCredentials(room).take(id))
    assert.deepEqual(taken.credential.reveal().hosts, [sandbox.url])
  })

  test('a host that the catalogue gained is not sealed into an old connection', async () => {
    const { room, clock, sandbox, id } = await start()
    const withings = room.catalog.providers.get('withings')
    assert.ok(withings)
    const credentialHosts = [...withings.credentialHosts, 'https://new.example']
    const providers = new Map([['withings', { ...withings, credentialHosts }]])
    clock.advance(lifetimeMs)
    const taken = granted(await createCredentials({ ...room, catalog: { providers } }).take(id))
    assert.deepEqual(taken.credential.reveal().hosts, [sandbox.url])
    assert.equal(taken.version, 2)
  })

  test('a test of a connection renews what is due and calls nothing else', async () => {
    const { room, clock, sandbox, id } = await start()
    const credentials = createCredentials(room)
    clock.advance(lifetimeMs)
    const shown = granted(await testConnection(room, credentials, id))
    assert.equal(shown.status, 'connected')
    assert.ok((shown.expiresAt ?? 0) > clock())
    assert.equal(await sandbox.tokenCalls('refresh_token'), 1)
    assert.equal(refused(await testConnection(room, credentials, 'con_none')).code, 'not_found')
  })

  test('no token reaches the log', async () => {
    const { room, store, clock, sandbox, id } = await start()
    const credentials = createCredentials(room)
    const secrets = [granted(await credentials.take(id))]
    clock.advance(lifetimeMs)
    secrets.push(granted(await credentials.take(id)))
    clock.advance(lifetimeMs)
    await sandbox.expire('all')
    refused(await credentials.take(id))
    const log = await wholeLog(store)
    const tokens = secrets.flatMap(({ credential }) => Object.values(credential.reveal().secrets))
    assert.equal(tokens.length, 4)
    assert.deepEqual(
      tokens.filter((token) => log.includes(token)),
      [],
    )
  })
})

async function until<T>(look: () => Promise<T | null>): Promise<T> {
  for (let left = 200; left > 0; left -= 1) {
    const found = await look()
    if (found !== null) return found
    await wait(20)
  }
  throw new Error('this never came')
}

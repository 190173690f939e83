import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { connect, createServer, type Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { setTimeout as pass } from 'node:timers/promises'
import { sql } from 'kysely'
import pg from 'pg'
import { openStore } from '../open.ts'
import type { Store } from '../store.ts'
import { type PostgresServer, startPostgres } from '../testing.ts'

/** What PostgreSQL may do to a writer: a real server, and a wire that can be cut at the commit. */

type Wire = Awaited<ReturnType<typeof startWire>>

type Cut = {
  /** Whether the commit still arrives, and only its answer is lost. */
  readonly arrives: boolean
  /** The wire stays dead until `mend`. */
  readonly forGood?: boolean
}

/** In front of the server: it can be cut at the next commit that passes. */
async function startWire(port: number) {
  let cut: Cut | null = null
  let isDown = false
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    const destroy = () => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.once('close', destroy)
      socket.on('error', destroy)
    }
    if (isDown) destroy()
    client.on('data', (chunk) => {
      const isCommit = cut !== null && chunk.includes('Q\0\0\0\x0bcommit\0')
      if (!isCommit || cut?.arrives) upstream.write(chunk)
      if (!isCommit) return
      isDown = cut?.forGood ?? false
      cut = null
      upstream.off('close', destroy)
      client.destroy()
      if (!upstream.destroyed) upstream.end()
    })
    upstream.on('data', (chunk) => client.destroyed || client.write(chunk))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    cutNextCommit: (how: Cut) => {
      cut = how
    },
    mend: () => {
      isDown = false
    },
    close: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

let postgres: PostgresServer
let wire: Wire
let store: Store
let direct: pg.Client
let databases = 0
const fatal: Error[] = []

before(async () => {
  postgres = await startPostgres()
  direct = new pg.Client({ connectionString: `${postgres.url}/postgres` })
  direct.on('error', () => {})
  await direct.connect()
})
after(async () => {
  await store?.close()
  wire?.close()
  await direct?.end()
  await postgres?.stop()
})

/** A store on a fresh database, whose every connection goes through the wire. */
async function open() {
  await store?.close()
  wire?.close()
  databases += 1
  await direct.query(`create database okoro_${databases}`)
  const { port } = new URL(postgres.url)
  wire = await startWire(Number(port))
  const url = postgres.url.replace(`:${port}`, `:${wire.port}`)
  store = await openStore(
    { kind: 'postgres', url: `${url}/okoro_${databases}` },
    {
      ...{ node: 'n', gatewayVersion: '0', clock: Date.now, random: randomBytes },
      onFatal: (error) => fatal.push(error),
    },
  )
}

const attempt = (requestId: string) =>
  store.write({
    records: [
      store.draft({
        ...{ kind: 'attempt', request_id: requestId, attempt_no: 1, decision: 'allow' },
      }),
    ],
  })

const numberOf = (result: Awaited<ReturnType<Store['write']>>) =>
  result.kind === 'done' ? result.numbers[0] : undefined

async function records() {
  const rows = await store.db.selectFrom('record').select(['n', 'body']).orderBy('n').execute()
  return rows.map(({ n, body }) => ({ n: Number(n), ...JSON.parse(body) }))
}

describe('a commit whose answer is lost', () => {
  test('is answered as done when it stands, and the next number follows', async () => {
    await open()
    await attempt('first')
    wire.cutNextCommit({ arrives: true })
    assert.equal(numberOf(await attempt('lost answer')), 1)
    assert.equal(numberOf(await attempt('next')), 2)
    assert.deepEqual(
      (await records()).map((record) => record.request_id),
      ['first', 'lost answer', 'next'],
    )
  })

  test('is refused when it never came there, and its number is given again', async () => {
    await open()
    await attempt('first')
    wire.cutNextCommit({ arrives: false })
    await assert.rejects(attempt('never came'), { code: 'audit_unavailable' })
    assert.equal(numberOf(await attempt('next')), 1)
    assert.deepEqual(
      (await records()).map((record) => record.request_id),
      ['first', 'next'],
    )
  })

  test('and is found to stand only later gives the refused attempts their outcome', async () => {
    await open()
    wire.cutNextCommit({ arrives: true, forGood: true })
    await assert.rejects(attempt('refused'), { code: 'audit_unavailable' })
    await assert.rejects(attempt('away'), { code: 'audit_unavailable' })
    wire.mend()
    assert.equal(numberOf(await attempt('back')), 1)
    const outcome = await until(async () => (await records()).find(({ n }) => n === 2))
    assert.deepEqual(
      [outcome.kind, outcome.request_id, outcome.error],
      ['outcome', 'refused', 'audit_unavailable'],
    )
  })

  test('an outcome in doubt that stands after all is not written twice', async () => {
    await open()
    const closes = numberOf(await attempt('call')) ?? -1
    const outcome = (error: string | null) =>
      store.draft({ kind: 'outcome', request_id: 'call', attempt_no: 1, closes, error })
    wire.cutNextCommit({ arrives: true, forGood: true })
    await assert.rejects(store.write({ records: [outcome(null)] }), { code: 'audit_unavailable' })
    store.owe(outcome('cut'))
    wire.mend()
    await attempt('next')
    await pass(1_500)
    const outcomes = (await records()).filter(({ kind }) => kind === 'outcome')
    assert.deepEqual(
      outcomes.map(({ error }) => error),
      [null],
    )
  })
})

test('what a role or a database says of durability and timeouts does not count', async () => {
  await direct.query(`alter role okoro set synchronous_commit = off`)
  await direct.query(`alter role okoro set idle_in_transaction_session_timeout = 0`)
  await open()
  const query = sql`select current_setting('synchronous_commit') as commits,
    current_setting('idle_in_transaction_session_timeout') as idle`
  const written = await store.write({
    statements: [{ query: query.compile(store.db) }],
    records: [],
  })
  const held = [{ commits: 'on', idle: '3s' }]
  assert.deepEqual(written.kind === 'done' && written.rows[0], held)
  assert.deepEqual((await query.execute(store.db)).rows, held)
  await direct.query(`alter role okoro reset all`)
})

test('a server that ends and comes back is written to again, by the same boot', async () => {
  await open()
  await attempt('before')
  await postgres.halt()
  await assert.rejects(attempt('away'), { code: 'audit_unavailable' })
  await assert.rejects(store.readPolicyEpoch(), { code: 'store_unavailable' })
  await postgres.start()
  assert.equal(numberOf(await attempt('after')), 1)
  assert.equal(await store.readPolicyEpoch(), 0)
  direct = new pg.Client({ connectionString: `${postgres.url}/postgres` })
  await direct.connect()
})

test('a server that hangs refuses after a while, and serves once it goes on', async () => {
  await open()
  await attempt('before')
  postgres.pause()
  const asked = [attempt('hanging'), store.readPolicyEpoch()]
  const refused = await Promise.allSettled(asked)
  postgres.resume()
  assert.deepEqual(
    refused.map((result) => result.status === 'rejected' && result.reason.code),
    ['audit_unavailable', 'store_unavailable'],
  )
  await until(() => attempt('after').catch(() => null))
  assert.equal(await store.readPolicyEpoch(), 0)
  assert.deepEqual(fatal, [])
})

test('fsync off is told as a broken promise, full_page_writes off as a warning', async () => {
  await open()
  assert.deepEqual(await store.doubts(), [])
  const careless = await startPostgres({ fsync: 'off', full_page_writes: 'off' })
  const other = await openStore(
    { kind: 'postgres', url: `${careless.url}/postgres` },
    { node: 'n', gatewayVersion: '0', clock: Date.now, random: randomBytes },
  )
  const doubts = await other.doubts()
  await other.close()
  await careless.stop()
  assert.deepEqual(
    doubts.map(({ setting, value, state }) => [setting, value, state]),
    [
      ['fsync', 'off', 'fail'],
      ['full_page_writes', 'off', 'warn'],
    ],
  )
})

async function until<T>(look: () => Promise<T | null | undefined>): Promise<T> {
  for (let left = 600; left > 0; left -= 1) {
    const found = await look()
    if (found) return found
    await pass(50)
  }
  throw new Error('it never came')
}

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { sql } from 'kysely'
import { workspace } from '../words.ts'
import { lockFolder } from './lock.ts'
import { openStore } from './open.ts'
import type { Store } from './store.ts'
import { forEachStore } from './testing.ts'

const agent = (name: string) => ({
  ...{ workspace_id: workspace, id: `agt_${name}`, name, status: 'active' as const },
  ...{ created_at: 1, revoked_at: null },
})
const addAgent = (store: Store, name: string) => ({
  query: store.db
    .insertInto('agent')
    .values(agent(name))
    .onConflict((conflict) => conflict.doNothing())
    .compile(),
  mustTouch: true,
})
const attempt = (store: Store, requestId: string) =>
  store.draft({
    ...{ kind: 'attempt', request_id: requestId, attempt_no: 1, agent: 'agt_a' },
    ...{ decision: 'allow', intent: 'see ë', policy_epoch: 0 },
  })

forEachStore((stores) => {
  test('a write and its record become durable together', async () => {
    const store = await stores.open()
    const result = await store.write({
      statements: [addAgent(store, 'a')],
      records: [store.draft({ kind: 'agent.created', agent: 'agt_a', agent_name: 'a' })],
    })
    assert.equal(result.kind, 'done')
    await store.close()
    const again = await stores.reopen()
    const agents = await again.db.selectFrom('agent').select('name').execute()
    const records = await again.db.selectFrom('record').select(['kind', 'n']).execute()
    assert.deepEqual([agents, records], [[{ name: 'a' }], [{ kind: 'agent.created', n: 0 }]])
  })

  test('a condition that is not met undoes its whole write, and no other', async () => {
    const store = await stores.open()
    await store.write({ statements: [addAgent(store, 'taken')], records: [] })
    const [refused, stands] = await Promise.all([
      store.write({
        statements: [addAgent(store, 'free'), addAgent(store, 'taken')],
        records: [store.draft({ kind: 'agent.created' })],
      }),
      store.write({
        statements: [addAgent(store, 'other')],
        records: [store.draft({ kind: 'agent.created' })],
      }),
    ])
    assert.deepEqual(refused, { kind: 'unmet', statement: 1 })
    assert.equal(stands.kind === 'done' && stands.numbers[0], 0)
    const names = await store.db.selectFrom('agent').select('name').orderBy('name').execute()
    assert.deepEqual(names, [{ name: 'other' }, { name: 'taken' }])
  })

  test('a broken constraint fails its own write and leaves the group standing', async () => {
    const store = await stores.open()
    const twice = store.db.insertInto('agent').values(agent('same')).compile()
    const writes = [twice, twice].map((query) =>
      store.write({ statements: [{ query }], records: [] }),
    )
    const [first, second] = await Promise.allSettled(writes)
    assert.equal(first?.status, 'fulfilled')
    assert.equal(second?.status === 'rejected' && second.reason.code, 'conflict')
  })

  test('an attempt under an older policy epoch inserts nothing', async () => {
    const store = await stores.open()
    const before = store.policyEpoch()
    const [bump, late] = await Promise.all([
      store.write({ records: [store.draft({ kind: 'agent.revoked' })], bumpsPolicy: true }),
      store.write({ records: [attempt(store, 'late')], ifPolicyEpoch: before }),
    ])
    assert.equal(bump.kind === 'done' && bump.policyEpoch, before + 1)
    assert.deepEqual(late, { kind: 'stale', policyEpoch: before + 1 })
    assert.equal(store.policyEpoch(), before + 1)
    const kinds = await store.db.selectFrom('record').select('kind').execute()
    assert.deepEqual(kinds, [{ kind: 'agent.revoked' }])
  })

  test('numbers have no gap under a thousand concurrent writes, some of them refused', async () => {
    const store = await stores.open()
    const writes = Array.from({ length: 1_000 }, (_, index) =>
      store.write({
        records: [attempt(store, `r${index}`)],
        ifPolicyEpoch: index % 3 === 0 ? 99 : 0,
      }),
    )
    const results = await Promise.all(writes)
    const given = results.flatMap((result) => (result.kind === 'done' ? result.numbers : []))
    assert.equal(given.length, 666)
    const rows = await store.db.selectFrom('record').select('n').orderBy('n').execute()
    assert.deepEqual(
      rows.map((row) => Number(row.n)),
      given.toSorted((one, other) => one - other),
    )
    assert.equal(Math.max(...given), 665)
  })

  test('what is stored hashes to its leaf, and a private value stands beside it', async () => {
    const store = await stores.open()
    await store.write({ records: [attempt(store, 'r1')] })
    const row = await store.db.selectFrom('record').selectAll().executeTakeFirstOrThrow()
    const digest = createHash('sha256')
      .update(Buffer.from([0]))
      .update(row.body)
      .digest('base64url')
    assert.equal(row.leaf_hash, digest)
    assert.ok(!row.body.includes('see ë'))
    const side = await store.db.selectFrom('disclosure').select('fields').executeTakeFirstOrThrow()
    const { intent } = JSON.parse(side.fields)
    const committed = createHash('sha256')
      .update(Buffer.from(intent.salt, 'base64url'))
      .update(`\0intent\0${intent.value}`)
      .digest('base64url')
    assert.equal(JSON.parse(row.body).intent.sha256, committed)
  })

  test('a second boot numbers its own records from zero', async () => {
    const store = await stores.open()
    await store.write({ records: [attempt(store, 'r1')] })
    await store.close()
    const again = await stores.reopen()
    const result = await again.write({ records: [attempt(again, 'r2')] })
    assert.equal(result.kind === 'done' && result.numbers[0], 0)
    assert.notEqual(again.boot, store.boot)
  })

  test('a refused commit gives its numbers back and the next one goes on', async () => {
    const store = await stores.open()
    await store.write({ records: [attempt(store, 'r1')] })
    const broken = { sql: 'select * from nowhere', parameters: [] }
    await assert.rejects(
      store.write({
        statements: [{ query: broken as never }],
        records: [attempt(store, 'lost')],
      }),
      { code: 'audit_unavailable' },
    )
    const result = await store.write({ records: [attempt(store, 'r2')] })
    assert.equal(result.kind === 'done' && result.numbers[0], 1)
    const count = await sql<{ n: number }>`select count(*) as n from record`.execute(store.db)
    assert.equal(Number(count.rows[0]?.n), 2)
  })

  test('a store says when it cannot be written, and finds out when it can', async () => {
    const store = await stores.open()
    const intoLater = { sql: 'insert into later values (1)', parameters: [] }
    const failing = store.write({ statements: [{ query: intoLater as never }], records: [] })
    assert.equal(store.isWritable(), true)
    await assert.rejects(failing, { code: 'audit_unavailable' })
    assert.equal(store.isWritable(), false)
    await store.probe()
    assert.equal(store.isWritable(), true)
  })

  test('a record that is owed is written once the database takes it, and one outcome is enough', async () => {
    const store = await stores.open()
    const result = await store.write({ records: [attempt(store, 'r1')] })
    const closes = result.kind === 'done' ? (result.numbers[0] ?? -1) : -1
    const outcome = (error: string | null) =>
      store.draft({ kind: 'outcome', request_id: 'r1', attempt_no: 1, closes, error })
    store.owe(outcome('cut'))
    store.owe(outcome(null))
    await store.write({ records: [outcome(null)] })
    const rows = await store.db.selectFrom('record').select('body').orderBy('n').execute()
    const errors = rows.map(({ body }) => JSON.parse(body).error)
    assert.deepEqual(errors, [undefined, 'cut'])
  })
})

test('a lock that cannot be made is no other process', () => {
  assert.throws(() => lockFolder('/proc/no/such/place/lock'), {
    code: 'store_unavailable',
    message: "The lock /proc/no/such/place/lock can't be used: unable to open database file",
  })
})

test('a file that is no database is one clear line, and no reason to die', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'okoro-garbage-'))
  const path = join(folder, 'okoro.db')
  writeFileSync(path, 'this is no database, and longer than a header would be '.repeat(20))
  const fatal: Error[] = []
  const opening = openStore(
    { kind: 'sqlite', path },
    {
      ...{ node: 'n', gatewayVersion: '0', clock: Date.now, random: randomBytes },
      onFatal: (error) => void fatal.push(error),
    },
  )
  await assert.rejects(opening, {
    code: 'store_unavailable',
    message: `The database at ${path} can't be used: file is not a database`,
  })
  assert.deepEqual(fatal, [])
  rmSync(folder, { recursive: true })
})

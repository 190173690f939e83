import assert from 'node:assert/strict'
import { test } from 'node:test'
import { canonicalJson, commitment, type Json, leafHash } from '../audit/record.ts'
import { createSequencer } from '../audit/sequencer.ts'
import { forEachStore } from '../store/testing.ts'
import { openAdmin } from './testing.ts'

type Exported = { readonly [field: string]: Json } & {
  readonly epoch: number
  readonly seq: number
  readonly kind: string
  readonly disclosed: Record<string, { value: string; salt: string }>
}

forEachStore((stores) => {
  const openWithRecords = async () => {
    const store = await stores.open()
    const admin = await openAdmin(store)
    for (const name of ['a', 'b', 'c']) await admin.call('POST', '/agents', { name })
    await createSequencer({ store, onDeadBoot: () => {} }).tick()
    const list = async (query: string): Promise<readonly Exported[]> =>
      (await admin.call('GET', `/audit?${query}`)).body.items
    return { ...admin, list }
  }

  test('the log is listed in its order, every record with its place', async () => {
    const { list } = await openWithRecords()
    const all = await list('')
    assert.deepEqual(
      all.map(({ seq }) => seq),
      all.map((_, index) => index),
    )
    assert.deepEqual(
      all.slice(-3).map(({ kind }) => kind),
      Array(3).fill('agent.created'),
    )
    assert.deepEqual(await list('order=newest'), [...all].reverse())
  })

  test('every listed record hashes to its leaf, and its values to their commitments', async () => {
    const { list } = await openWithRecords()
    for (const record of await list('')) {
      const { epoch, seq, leaf_hash, disclosed, ...hashed } = record
      assert.equal(leafHash(canonicalJson(hashed)), leaf_hash)
      for (const [field, { value, salt }] of Object.entries(disclosed)) {
        const sha256 = commitment(Buffer.from(salt, 'base64url'), field, value)
        assert.deepEqual(record[field], { sha256 })
      }
    }
  })

  test('a page begins after its cursor, in either direction', async () => {
    const { call, list } = await openWithRecords()
    const all = await list('')
    const first = (await call('GET', '/audit?limit=2')).body
    assert.equal(first.next_cursor, `${all[1]?.epoch}.1`)
    assert.deepEqual(await list(`cursor=${first.next_cursor}`), all.slice(2))
    assert.deepEqual(await list(`order=newest&cursor=${all[2]?.epoch}.2`), [all[1], all[0]])
    const last = all.at(-1)
    assert.deepEqual(await list(`cursor=${last?.epoch}.${last?.seq}`), [])
  })

  test('records are chosen by kind, agent and time', async () => {
    const { list } = await openWithRecords()
    const created = await list('kind=agent.created')
    assert.equal(created.length, 3)
    const [one] = created
    assert.deepEqual(await list(`agent=${one?.agent}`), [one])
    assert.deepEqual(await list('since=2999-01-01T00:00:00Z'), [])
  })

  for (const query of ['cursor=1', 'cursor=a.b', 'order=up', 'limit=0', 'limit=x', 'since=now']) {
    test(`${query} is refused by name`, async () => {
      const { call } = await openAdmin(await stores.open())
      const { body } = await call('GET', `/audit?${query}`)
      assert.equal(body.error, 'invalid_request')
      assert.ok(body.message.startsWith(`${query.split('=')[0]}: `), body.message)
    })
  }
})

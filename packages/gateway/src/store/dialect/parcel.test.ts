import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Draft } from '../../audit/record.ts'
import type { Failed, PlainWrite } from '../commit.ts'
import type { WriteResult } from '../store.ts'
import { unwrapResults, unwrapWrites, wrapResults, wrapWrites } from './parcel.ts'

const draft: Draft = {
  ...{ head: '{"agent":"a","n":', tail: ',"z":1}', disclosed: '{}', kind: 'attempt', timeMs: 5 },
  ...{ requestId: 'req_1', attemptNo: 2, agent: 'agt_1', opens: true, closes: null },
}
const bare: Draft = {
  ...{ ...draft, disclosed: null, requestId: null, attemptNo: null, agent: null },
  ...{ opens: false, closes: 0 },
}
const statement = { sql: 'select 1', parameters: ['a', null, 1], mustTouch: true }

const groups: readonly (readonly [name: string, group: readonly PlainWrite[]])[] = [
  ['a lone record', [{ records: [draft], statements: [] }]],
  ['one on condition, of epoch 0', [{ records: [bare], statements: [], ifPolicyEpoch: 0 }]],
  ['no record at all', [{ records: [], statements: [statement] }]],
  ['two records', [{ records: [draft, bare], statements: [] }]],
  ['a record with its change', [{ records: [draft], statements: [statement] }]],
  ['a revocation', [{ records: [draft], statements: [], bumpsPolicy: true }]],
]
for (const [name, group] of groups) {
  test(`${name} arrives as it was sent, with the others of its group`, () => {
    const mixed = [...group, { records: [bare], statements: [] }]
    assert.deepEqual(unwrapWrites(structuredClone(wrapWrites(mixed))), mixed)
  })
}

test('results come back as they were, in order', () => {
  const results: (WriteResult | Failed)[] = [
    { kind: 'done', rows: [], numbers: [0], policyEpoch: 0 },
    { kind: 'done', rows: [], numbers: [], policyEpoch: 1 },
    { kind: 'done', rows: [], numbers: [1, 2], policyEpoch: 1 },
    { kind: 'done', rows: [[{ id: 'a' }]], numbers: [3], policyEpoch: 1 },
    { kind: 'stale', policyEpoch: 2 },
    { kind: 'unmet', statement: 0 },
    { kind: 'failed', message: 'no' },
  ]
  assert.deepEqual(unwrapResults(structuredClone(wrapResults(results))), results)
})

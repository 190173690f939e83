import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  draftRecord,
  leafHash,
  type RecordFields,
  recordBody,
} from '../../packages/gateway/src/audit/record.ts'
import { compare } from './compare.ts'
import type { Evidence, JsonObject, RecordLine } from './evidence.ts'

/** A harness that cannot fail proves nothing: every kind of damage is planted here, and found. */

const digest = 'ZGlnZXN0'
const stamp = { node: 'node-1', boot: 'b1', gatewayVersion: '0.1.0', timeMs: 1_764_000_000_000 }
const attempt: RecordFields = {
  ...{ kind: 'attempt', request_id: 'req_1', attempt_no: 1, decision: 'allow', method: 'POST' },
  ...{ intent: 'see "ë" and \u2028', target: '/v2/user', request_digest: digest },
}
const outcome: RecordFields = {
  ...{ kind: 'outcome', request_id: 'req_1', attempt_no: 1, closes: 0 },
  ...{ status: 200, provider_status: 0, bytes_out: 120, error: null },
}
const denial: RecordFields = {
  ...{ kind: 'attempt', request_id: 'req_2', attempt_no: 1, decision: 'deny', status: 403 },
  reason: 'insufficient_scope',
}
const issued: RecordFields = { kind: 'token.issued', jti: 'jti_1' }
const story = [issued, attempt, outcome, denial]

/** The log as the gateway would write and export it. */
function logOf(fields: readonly RecordFields[], boot = 'b1', firstSeq = 0): RecordLine[] {
  return fields.map((one, n) => {
    const draft = draftRecord(one, { ...stamp, boot }, () => new Uint8Array(16).fill(n))
    const body = recordBody(draft, n)
    return {
      ...{ epoch: 1, seq: firstSeq + n, leaf_hash: leafHash(body) },
      ...JSON.parse(body),
      disclosed: JSON.parse(draft.disclosed ?? '{}'),
    } as RecordLine
  })
}

const good: Evidence = {
  records: logOf(story),
  received: [{ n: 7, method: 'POST', target: '/v2/user', digest, marker: 'm1' }],
  answers: [
    {
      ...{ requestId: 'req_1', marker: 'm1', status: 200, providerStatus: 0, bytes: 120 },
      code: null,
    },
    {
      ...{ requestId: 'req_2', marker: 'm2', status: 403, providerStatus: null, bytes: 300 },
      code: 'insufficient_scope',
    },
  ],
  issued: [{ jti: 'jti_1' }],
}
const [answer, refusal] = good.answers as [Evidence['answers'][0], Evidence['answers'][0]]
const records = (fields: readonly RecordFields[]): Evidence => ({ ...good, records: logOf(fields) })

/** The record at `index`, changed behind the back of its hash. */
const torn = (index: number, change: JsonObject): Evidence => ({
  ...good,
  records: good.records.map((record, at) =>
    at === index ? ({ ...record, ...change } as RecordLine) : record,
  ),
})

test('a log that tells the truth has no complaint', () => {
  assert.deepEqual(compare(good), [])
})

test('an answer that the agent never read to its end may have any outcome but none', () => {
  const crashed = { ...outcome, status: null, bytes_out: 0, error: 'crashed' }
  const later = [...logOf([issued, attempt, denial]), ...logOf([crashed], 'b2', 3)]
  assert.deepEqual(compare({ ...good, answers: [refusal], records: later }), [])
})

const planted: Readonly<Record<string, readonly [Evidence, RegExp]>> = {
  'a call that reached the provider without an attempt': [
    { ...good, received: [...good.received, { ...good.received[0], n: 8, digest: 'b3RoZXI' }] },
    /request 8 .* unaudited/,
  ] as never,
  'a call that reached the provider twice on one attempt': [
    { ...good, received: [...good.received, { ...good.received[0], n: 8 }] },
    /request 8 .* unaudited/,
  ] as never,
  'a call that reached the provider on a denial': [
    records([issued, { ...attempt, decision: 'deny', reason: 'outside_grant' }]),
    /request 7 .* unaudited/,
  ],
  'an answer without an attempt': [records([issued, denial]), /req_1 .*has no attempt/],
  'an answer without an outcome': [
    records([issued, attempt, denial]),
    /req_1 .*read to its end and has no outcome/,
  ],
  'an answer that is on record as crashed': [
    records([issued, attempt, { ...outcome, error: 'crashed' }, denial]),
    /the log says .*crashed/,
  ],
  'an answer of other bytes': [
    { ...good, answers: [{ ...answer, bytes: 119 }] },
    /was \[200,0,119,null\], and the log says \[200,0,120,null\]/,
  ],
  'an answer of another status': [
    { ...good, answers: [{ ...answer, status: 500 }] },
    /was \[500,0/,
  ],
  'an answer that belongs to another call': [
    { ...good, answers: [{ ...answer, marker: 'm9' }] },
    /belongs to another call/,
  ],
  'a refusal that is not on record': [
    records([issued, attempt, outcome]),
    /insufficient_scope is not on record/,
  ],
  'a call that was said not to be recorded, and was answered': [
    { ...good, answers: [{ ...answer, code: 'audit_unavailable', status: 503 }] },
    /on record as answered/,
  ],
  'a token without a record': [
    { ...good, issued: [{ jti: 'jti_2' }] },
    /jti_2 was issued unaudited/,
  ],
  'an attempt without an outcome': [
    records([...story, { ...attempt, request_id: 'req_3' }]),
    /has no outcome/,
  ],
  'an outcome without an attempt': [
    records([...story, { ...outcome, request_id: 'req_3' }]),
    /outcome of no attempt/,
  ],
  'a second outcome': [records([...story, outcome]), /second outcome/],
  'an attempt twice': [records([issued, attempt, ...story.slice(1)]), /attempt twice/],
  'an outcome before its attempt': [
    records([issued, outcome, attempt, denial]),
    /stands behind its outcome/,
  ],
  'a changed record': [torn(2, { status: 500 }), /does not hash to its leaf/],
  'a member too many': [torn(2, { note: 'x' }), /does not hash to its leaf/],
  'a changed value behind a commitment': [
    torn(1, {
      disclosed: {
        ...good.records[1]?.disclosed,
        intent: { value: 'other', salt: 'AQEBAQEBAQEBAQEBAQEBAQ' },
      },
    }),
    /intent is not what was committed to/,
  ],
  'a record missing in the middle': [
    { ...good, records: good.records.filter((_, at) => at !== 1) },
    /stands where 1 is due/,
  ],
  'a record twice': [
    { ...good, records: [...good.records, good.records[3] as RecordLine] },
    /stands where 4 is due/,
  ],
  'a number that was left out': [
    {
      ...good,
      records: [...good.records, { ...logOf([...story, denial, denial])[5], seq: 4 } as RecordLine],
    },
    /is number 5 where 4 is due/,
  ],
  'a number that was given twice': [
    { ...good, records: [...good.records, { ...good.records[3], seq: 4 } as RecordLine] },
    /is number 3 where 4 is due/,
  ],
  'a boot that does not begin at 0': [
    {
      ...good,
      records: [...good.records, { ...logOf([denial, denial], 'b2', 3)[1] } as RecordLine],
    },
    /is number 1 where 0 is due/,
  ],
}

for (const [damage, [evidence, complaint]] of Object.entries(planted)) {
  test(`the comparison finds ${damage}`, () => {
    assert.match(compare(evidence).join('\n'), complaint)
  })
}

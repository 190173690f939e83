import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { canonicalJson, commitment, draftRecord, leafHash, recordBody } from './record.ts'

const stamp = { node: 'n1', boot: 'b1', gatewayVersion: '1.2.3', timeMs: 1_795_407_212_345 }
const salt = () => Buffer.alloc(16, 7)

test('canonical JSON sorts names by UTF-16 code units and writes integers plainly', () => {
  assert.equal(
    canonicalJson({ é: 1, b: [true, null, -0], a: { z: '\u0007"', y: 'ö' } }),
    '{"a":{"y":"ö","z":"\\u0007\\""},"b":[true,null,0],"é":1}',
  )
})

test('a number that two writers could spell differently is no record', () => {
  assert.throws(() => canonicalJson(0.5))
  assert.throws(() => canonicalJson(2 ** 60))
})

test('a record is the canonical JSON of its members, whatever its number', () => {
  const draft = draftRecord(
    { kind: 'attempt', request_id: 'req_1', attempt_no: 1, decision: 'allow', agent: null },
    stamp,
    salt,
  )
  for (const n of [0, 9, 1_000_000]) {
    const body = recordBody(draft, n)
    assert.equal(body, canonicalJson(JSON.parse(body)))
    assert.equal(JSON.parse(body).n, n)
  }
})

test('any fields make a body that is canonical', () => {
  const name = fc.stringMatching(/^[a-z_]{1,12}$/).filter((one) => one !== 'n' && one !== 'closes')
  const value = fc.oneof(fc.integer(), fc.boolean(), fc.constant(null), fc.string())
  fc.assert(
    fc.property(fc.dictionary(name, value), (some) => {
      const draft = draftRecord({ ...some, kind: 'test.any', intent: null }, stamp, salt)
      const body = recordBody(draft, 3)
      assert.equal(body, canonicalJson(JSON.parse(body)))
    }),
  )
})

test('a private field stands as its commitment, and null when it has no value', () => {
  const draft = draftRecord({ kind: 'attempt', intent: 'why', owner: null }, stamp, salt)
  const record = JSON.parse(recordBody(draft, 0))
  assert.deepEqual(record.intent, { sha256: commitment(salt(), 'intent', 'why') })
  assert.equal(record.owner, null)
  assert.deepEqual(JSON.parse(draft.disclosed ?? ''), {
    intent: { value: 'why', salt: Buffer.alloc(16, 7).toString('base64url') },
  })
})

test('a commitment and a leaf are the hashes that the contract writes down', () => {
  const message = Buffer.concat([salt(), Buffer.from('\0intent\0wh\u00e9', 'utf8')])
  const expected = createHash('sha256').update(message).digest('base64url')
  assert.equal(commitment(salt(), 'intent', 'wh\u00e9'), expected)
  const leaf = createHash('sha256').update('\0{"a":1}').digest('base64url')
  assert.equal(leafHash('{"a":1}'), leaf)
})

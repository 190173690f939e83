import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { EnvelopeStatus } from './envelope.ts'

const read = (text: string, size = text.length) => {
  const status = new EnvelopeStatus('/status')
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += size) status.read(bytes.subarray(at, at + size))
  return status.value
}

const cases: readonly (readonly [name: string, text: string, value: number | null])[] = [
  ['first', '{"status":401,"body":{}}', 401],
  ['last, behind a large body', `{"body":{"a":[${'1,'.repeat(5_000)}1]},"status":0}`, 0],
  ['with white space everywhere', ' {\n "status" : \t 601 \r\n}', 601],
  ['negative', '{"status":-1}', -1],
  ['nested ones do not count', '{"body":{"status":401},"status":0}', 0],
  ['nor in a list of objects', '{"body":[{"status":401}],"status":7}', 7],
  ['nor inside a string', '{"error":"\\"status\\":401,","status":0}', 0],
  ['nor as a value', '{"x":"status","status":5}', 5],
  ['a text is no number', '{"status":"401"}', null],
  ['nor is null', '{"status":null}', null],
  ['nor a fraction', '{"status":4.5}', null],
  ['absent', '{"body":{}}', null],
  ['a list is no envelope', '[{"status":401}]', null],
  ['garbage', 'status:401', null],
  ['cut short', '{"status":4', null],
]

for (const [name, text, value] of cases) {
  test(`the status of an envelope: ${name}`, () => {
    assert.equal(read(text), value)
    assert.equal(read(text, 1), value, 'byte by byte')
  })
}

test('any JSON object gives the status that JSON.parse gives, whatever the chunks', () => {
  const envelope = fc.record({
    before: fc.jsonValue(),
    status: fc.integer(),
    after: fc.jsonValue(),
  })
  fc.assert(
    fc.property(
      envelope,
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 0, max: 2 }),
      (one, size, indent) => {
        assert.equal(read(JSON.stringify(one, null, indent), size), one.status)
      },
    ),
  )
})

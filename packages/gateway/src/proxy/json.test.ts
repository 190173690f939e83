import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { JsonNumber, type JsonValue, maxJsonDepth, readJson } from './json.ts'

/** What JSON.parse would make of it. */
function plain(value: JsonValue): unknown {
  if (value instanceof JsonNumber) return Number(value.source)
  if (value instanceof Map) {
    return Object.fromEntries([...value].map(([name, member]) => [name, plain(member)]))
  }
  return Array.isArray(value) ? value.map(plain) : value
}

test('what JSON.stringify writes is read as JSON.parse reads it', () => {
  const values = fc.jsonValue({ maxDepth: 5 })
  fc.assert(
    fc.property(values, fc.constantFrom(undefined, 2, '\t'), (value, indent) => {
      const text = JSON.stringify(value, null, indent)
      fc.pre(text.isWellFormed() && !text.includes('\\ud') && !text.includes('__proto__'))
      assert.deepEqual(plain(readJson(text)), JSON.parse(text))
    }),
    { numRuns: 5_000 },
  )
})

test('what is read here, JSON.parse reads too', () => {
  const tokens = fc.constantFrom(
    ...['{', '}', '[', ']', ',', ':', '"a"', '"b"', '1', '-', '0', '.5', 'e9', 'true', 'null', ' '],
  )
  fc.assert(
    fc.property(fc.array(tokens, { maxLength: 9 }), (all) => {
      const text = all.join('')
      const value = attempt(() => readJson(text))
      if (value !== undefined) assert.deepEqual(plain(value), JSON.parse(text))
      else if (attempt(() => JSON.parse(text)) !== undefined) assert.match(text, /"(a|b)".*"\1"/)
    }),
    { numRuns: 20_000 },
  )
})

function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    assert.ok(error instanceof SyntaxError)
    return undefined
  }
}

const refused: [text: string, why: RegExp][] = [
  ['', /a value is missing/],
  ['\ufeff{}', /a value is missing/],
  ['{} x', /something follows/],
  ['{"a":1}{"a":1}', /something follows/],
  ['{"a":1,"a":1}', /"a" is there twice/],
  ['{"a":1,"\\u0061":1}', /"a" is there twice/],
  ['{"x":[{"b":1,"b":2}]}', /"b" is there twice/],
  ['{"a":1,}', /a member name in quotes is missing/],
  ["{'a':1}", /a member name in quotes is missing/],
  ['{a:1}', /a member name in quotes is missing/],
  ['{"a" 1}', /":" is missing/],
  ['{"a":1 "b":2}', /"," or "}" is missing/],
  ['[1,]', /a value is missing/],
  ['[1 2]', /"," or "]" is missing/],
  ['"abc', /has no end/],
  ['"a\nb"', /control character/],
  ['"\\x41"', /unknown escape/],
  ['"\\u12"', /incomplete/],
  ['"\\ud800"', /surrogate/],
  ['"\\udc00\\ud800"', /surrogate/],
  ['01', /something follows/],
  ['1.', /something follows/],
  ['.5', /a value is missing/],
  ['+1', /a value is missing/],
  ['0x10', /something follows/],
  ['NaN', /a value is missing/],
  ['nul', /a value is missing/],
  ['// x\n1', /a value is missing/],
  ['\u00a01', /a value is missing/],
]

for (const [text, why] of refused) {
  test(`${JSON.stringify(text)} is refused`, () => {
    assert.throws(() => readJson(text), { name: 'SyntaxError', message: why })
  })
}

test('numbers keep their source text', () => {
  for (const source of ['12345678901234567890', '1.0', '-0', '1E400', '0.1e-7']) {
    assert.deepEqual(readJson(source), new JsonNumber(source))
  }
})

test('names that every object has are names like others', () => {
  const value = readJson('{"__proto__":1,"constructor":2}')
  assert.ok(value instanceof Map)
  assert.deepEqual([...value.keys()], ['__proto__', 'constructor'])
})

test(`${maxJsonDepth} levels are read, one more is refused, and a flood breaks nothing`, () => {
  const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
  assert.ok(Array.isArray(readJson(nested(maxJsonDepth))))
  assert.throws(() => readJson(nested(maxJsonDepth + 1)), /nested deeper/)
  assert.throws(() => readJson('['.repeat(1_000_000)), /nested deeper/)
  assert.throws(() => readJson('{"a":'.repeat(100_000)), /nested deeper/)
})

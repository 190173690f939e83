import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { suite, test } from 'node:test'
import { inspect } from 'node:util'
import {
  createServiceToken,
  hashServiceToken,
  isServiceToken,
  randomBase62,
  toBase62,
} from './service-token.ts'

const create = () => createServiceToken(randomBytes).token.reveal()

suite('a service token', () => {
  test('has the form of the contract', () => {
    assert.match(create(), /^svc_[0-9A-Za-z]{49}$/)
  })

  test('carries the checksum that others compute', () => {
    // zlib.crc32 of Python says 283397513.
    assert.ok(isServiceToken(`svc_${'0'.repeat(43)}0JB6dd`))
    assert.ok(!isServiceToken(`svc_${'0'.repeat(43)}0JB6de`))
  })

  test('has nothing constant after its prefix', () => {
    const tokens = Array.from({ length: 200 }, create)
    for (let index = 4; index < 53; index += 1) {
      const seen = new Set(tokens.map((token) => token[index]))
      // The first digit of the checksum is 0 to 4: 62^5 goes into 2^32 less than five times.
      assert.ok(seen.size >= (index === 47 ? 4 : 30), `position ${index}: ${seen.size}`)
    }
  })

  test('is accepted in its form and refused after any slip', () => {
    const token = create()
    assert.ok(isServiceToken(token))
    for (let index = 0; index < token.length; index += 1) {
      const other = token[index] === 'x' ? 'y' : 'x'
      assert.ok(!isServiceToken(token.slice(0, index) + other + token.slice(index + 1)))
    }
    for (const wrong of ['', 'svc_', token.slice(0, -1), `${token}0`, ` ${token}`, `${token}\n`]) {
      assert.ok(!isServiceToken(wrong), JSON.stringify(wrong))
    }
  })

  test('is stored as the hash of its whole text', () => {
    const { token, hash } = createServiceToken(randomBytes)
    assert.equal(hash, createHash('sha256').update(token.reveal()).digest('hex'))
    assert.equal(hash, hashServiceToken(token.reveal()))
  })

  test('is not printed', () => {
    const created = createServiceToken(randomBytes)
    const printed = `${created.token} ${JSON.stringify(created)} ${inspect(created, { depth: 9 })}`
    assert.ok(!printed.includes(created.token.reveal().slice(4, 20)))
  })
})

suite('base62', () => {
  for (const [value, text] of [
    [0, '000000'],
    [61, '00000z'],
    [62, '000010'],
    [0xffff_ffff, '4gfFC3'],
  ] as const) {
    test(`writes ${value} as ${text}`, () => assert.equal(toBase62(value, 6), text))
  }

  test('takes every character from the bytes 0 to 247 alone, each from four of them', () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => 255 - index)
    let taken = 0
    const countDown = (size: number) => {
      taken += size
      return bytes.subarray(taken - size, taken)
    }
    const text = randomBase62(countDown, 248)
    const counts = Map.groupBy(text, (character) => character)
    assert.equal(counts.size, 62)
    for (const [character, seen] of counts) assert.equal(seen.length, 4, character)
  })
})

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { createReservoir } from './reservoir.ts'

test('pieces are of the size asked for, and none is handed out twice', () => {
  const random = createReservoir(randomBytes)
  const pieces = Array.from({ length: 10_000 }, () => Buffer.from(random(16)).toString('hex'))
  assert.equal(new Set(pieces).size, pieces.length)
  assert.ok(pieces.every((piece) => piece.length === 32))
  assert.equal(random(100_000).length, 100_000)
})

test('a piece does not change when later ones are handed out, and no two share memory', () => {
  const random = createReservoir(randomBytes)
  const first = random(32)
  const before = Buffer.from(first).toString('hex')
  for (let left = 5_000; left > 0; left -= 1) random(32).fill(0)
  assert.equal(Buffer.from(first).toString('hex'), before)
  assert.equal(first.buffer.byteLength, 32)
})

test('the system is asked once for many pieces', () => {
  let asked = 0
  const random = createReservoir((size) => {
    asked += 1
    return randomBytes(size)
  })
  for (let left = 1_000; left > 0; left -= 1) random(12)
  assert.equal(asked, 1)
})

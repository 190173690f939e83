import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { freeFrom, slackMs, type Taken, unitsFree } from './fair-share.ts'

const limit = { requests: 120, seconds: 60 }
const now = 1_000_000
const took = (agentId: string, units: number, agoMs = 0): Taken => ({
  ...{ agentId, units, usableUntil: now - agoMs },
})
const free = (ledger: readonly Taken[], agentId: string, atMs = now) =>
  unitsFree(ledger, { limit, agentId, atMs }).units

const cases: readonly (readonly [
  name: string,
  ledger: readonly Taken[],
  agentId: string,
  units: number,
])[] = [
  ['an agent that is alone has nine tenths', [], 'a', 108],
  ['and no more', [took('a', 108)], 'a', 0],
  ['a newcomer finds the reserve when another has all the rest', [took('a', 108)], 'b', 12],
  ['two that are busy have half each: one is at its share', [took('a', 54), took('b', 9)], 'a', 0],
  ['two that are busy have half each: the other is not', [took('a', 54), took('b', 9)], 'b', 45],
  [
    'an agent over its share waits while a busy one lacks some of its own',
    [took('a', 90, 30_000), took('b', 10)],
    'a',
    0,
  ],
  [
    'an agent that has gone quiet holds nothing back',
    [took('a', 54), took('b', 1, 11_000)],
    'a',
    54,
  ],
  ['what was used a window and the slack ago counts no more', [took('a', 108, 61_000)], 'a', 108],
  ['a moment less, and it counts', [took('a', 108, 60_999)], 'a', 0],
  [
    'a claim reserves a share for an agent that waits',
    [took('a', 100, 30_000), took('b', 0, -20_000)],
    'a',
    0,
  ],
  ['three busy ones have a third each', [took('a', 1), took('b', 1), took('c', 1)], 'a', 35],
]
for (const [name, ledger, agentId, units] of cases) {
  test(name, () => assert.equal(free(ledger, agentId), units))
}

test('a small limit has no reserve, and a claim still gets the next unit', () => {
  const small = { requests: 3, seconds: 60 }
  const ledger = [took('a', 2, 30_000), took('b', 0, -20_000)]
  const of = (agentId: string) => unitsFree(ledger, { limit: small, agentId, atMs: now }).units
  assert.equal(of('a'), 0)
  assert.equal(of('b'), 1)
})

const ledgers = fc.array(
  fc.record({
    agentId: fc.constantFrom('a', 'b', 'c', 'd'),
    units: fc.nat(30),
    usableUntil: fc.integer({ min: now - 80_000, max: now + 2_000 }),
  }),
  { maxLength: 30 },
)
const limits = fc.record({
  requests: fc.integer({ min: 1, max: 300 }),
  seconds: fc.constantFrom(1, 7, 60),
})

test('whatever was taken, taking what is free never leads over the limit', () => {
  fc.assert(
    fc.property(ledgers, limits, (ledger, some) => {
      const counted = ledger
        .filter(({ usableUntil }) => usableUntil + slackMs + some.seconds * 1_000 > now)
        .reduce((sum, { units }) => sum + units, 0)
      const { units } = unitsFree(ledger, { limit: some, agentId: 'a', atMs: now })
      assert.ok(units >= 0)
      assert.ok(units === 0 || counted + units <= some.requests)
    }),
  )
})

test('an agent below its share is never refused while a unit is left', () => {
  fc.assert(
    fc.property(ledgers, limits, (ledger, some) => {
      const counted = ledger
        .filter(({ usableUntil }) => usableUntil + slackMs + some.seconds * 1_000 > now)
        .reduce((sum, { units }) => sum + units, 0)
      const { units, isBelowShare } = unitsFree(ledger, { limit: some, agentId: 'a', atMs: now })
      assert.ok(!isBelowShare || units > 0 || counted >= some.requests)
    }),
  )
})

test('when nobody takes any, the moment that is named brings a unit, and none came before it', () => {
  fc.assert(
    fc.property(ledgers, limits, (ledger, some) => {
      const asking = { limit: some, agentId: 'a', atMs: now }
      const moment = freeFrom(ledger, asking)
      assert.ok(unitsFree(ledger, { ...asking, atMs: moment }).units > 0)
      assert.ok(moment <= now + some.seconds * 1_000 + 2_000 + slackMs)
      if (moment > now) assert.equal(unitsFree(ledger, asking).units, 0)
    }),
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRefusal } from '../errors.ts'
import { createAdmission } from './admit.ts'

const limits = { perSecond: 2, burst: 3, concurrent: 2 }

test('an agent may call at once as often as its burst, then at its rate', () => {
  let now = 1_000
  const admit = createAdmission({ ...limits, concurrent: 100 }, () => now)
  const admitted = () => !isRefusal(admit('a'))
  assert.deepEqual([admitted(), admitted(), admitted(), admitted()], [true, true, true, false])
  now += 500
  assert.deepEqual([admitted(), admitted()], [true, false])
})

test('one agent at its limit leaves the others alone', () => {
  const admit = createAdmission({ ...limits, burst: 1 }, () => 0)
  admit('loop')
  assert.ok(isRefusal(admit('loop')))
  assert.ok(!isRefusal(admit('calm')))
})

test('calls under way are limited until they are released', () => {
  const admit = createAdmission({ ...limits, burst: 100 }, () => 0)
  const first = admit('a')
  admit('a')
  const refused = admit('a')
  assert.ok(isRefusal(refused))
  assert.equal(refused.code, 'rate_limited')
  assert.equal(refused.members.limit, 'agent')
  assert.ok(!isRefusal(first))
  first.release()
  assert.ok(!isRefusal(admit('a')))
})

test('the refusal says how long to wait', () => {
  const admit = createAdmission({ perSecond: 1, burst: 1, concurrent: 9 }, () => 0)
  admit('a')
  const refused = admit('a')
  assert.equal(isRefusal(refused) && refused.retryAfterSeconds, 1)
})

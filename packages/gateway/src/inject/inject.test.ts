import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { readProvider } from '../catalog/load.ts'
import { Malfunction } from '../errors.ts'
import { Secret } from '../secret.ts'
import type { AuditedRequest, ComposedRequest } from '../words.ts'
import { type Credential, inject } from './inject.ts'

const withings = await readProvider(join(import.meta.dirname, '../../../../providers/withings'))
const canary = 'canary0123456789abcdef'

const audited = (changes: Partial<ComposedRequest> = {}): AuditedRequest =>
  ({
    composed: {
      ...{ provider: 'withings', agentMethod: 'POST', method: 'POST', path: '/measure' },
      ...{ origin: 'https://wbsapi.withings.net', query: 'a=b', body: null, action: 'getmeas' },
      headers: [['accept', '*/*']],
      ...changes,
    },
    requestId: 'req_1',
    attemptNo: 2,
  }) as AuditedRequest

const credential = (secrets: Credential['secrets'] = { access_token: canary }) =>
  new Secret<Credential>({ hosts: ['https://wbsapi.withings.net'], secrets })

test('the token is put into its slot, and nothing else changes', () => {
  const request = audited()
  const authorized = inject(request, credential(), withings)
  assert.deepEqual(authorized.headers, [
    ['accept', '*/*'],
    ['authorization', `Bearer ${canary}`],
  ])
  assert.equal(authorized.composed, request.composed)
  assert.deepEqual(request.composed.headers, [['accept', '*/*']])
  assert.equal(authorized.query, 'a=b')
  assert.equal(authorized.requestId, 'req_1')
  assert.equal(authorized.attemptNo, 2)
})

const refused: [what: string, attempt: () => unknown][] = [
  [
    'another origin',
    () =>
      inject(
        audited({ origin: 'https://wbsapi.withings.net.evil.example' }),
        credential(),
        withings,
      ),
  ],
  [
    'the same host over plain http',
    () => inject(audited({ origin: 'http://wbsapi.withings.net' }), credential(), withings),
  ],
  [
    'a slot that is taken',
    () => inject(audited({ headers: [['authorization', 'Bearer x']] }), credential(), withings),
  ],
  ['no such secret', () => inject(audited(), credential({ refresh_token: canary }), withings)],
  [
    'an inherited member instead of a secret',
    () => inject(audited(), credential(Object.create({ access_token: canary })), withings),
  ],
  ['an empty secret', () => inject(audited(), credential({ access_token: '' }), withings)],
  [
    'a secret with a line break',
    () => inject(audited(), credential({ access_token: `${canary}\r\nx: y` }), withings),
  ],
]

for (const [what, attempt] of refused) {
  test(`${what} is a malfunction that shows no secret`, () => {
    assert.throws(attempt, (error) => {
      assert.ok(error instanceof Malfunction && error.code === 'internal_error')
      assert.ok(!inspect(error, { depth: 9, showHidden: true }).includes(canary))
      return true
    })
  })
}

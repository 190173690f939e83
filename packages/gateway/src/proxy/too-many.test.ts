import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { readProvider } from '../catalog/load.ts'
import { longestWaitSeconds, readTooMany, type Wait } from './too-many.ts'

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const withings = await readProvider(at('../../../../providers/withings'))
const github = await readProvider(at('../../../../providers/github'))
const forge = await readProvider(at('../catalog/examples/forge'))
const nowMs = Date.parse('2026-11-25T12:00:00Z')
const nowSeconds = nowMs / 1000

const envelope = (body: string): Wait | null =>
  readTooMany(withings.limits.tooMany, {
    ...{ status: 601, rawHeaders: [], body: Buffer.from(body), nowMs },
    messageAt: withings.envelope?.message ?? null,
  })
const pause = (seconds: number) => ({ pauses: true, seconds })
const again = (seconds: number) => ({ pauses: false, seconds })

const envelopes: readonly (readonly [name: string, body: string, wait: Wait])[] = [
  [
    'a limit that says how long',
    '{"status":601,"body":{"wait_seconds":68},"error":"Too Many Requests"}',
    pause(68),
  ],
  ['a limit that does not say', '{"status":601,"body":{},"error":"Too Many Requests"}', pause(60)],
  ['a limit without a word', '{"status":601}', pause(60)],
  [
    'the duplicate guard',
    '{"status":601,"body":{},"error":"Same arguments in less than 10 seconds"}',
    again(10),
  ],
  [
    'the duplicate guard behind a request id, in other letters',
    '{"status":601,"error":"XRequestID: 1 - SAME Arguments in less than 10 seconds"}',
    again(10),
  ],
  [
    'the text in another place is no text',
    '{"status":601,"body":"same arguments in less than"}',
    pause(60),
  ],
  ['a number as text', '{"status":601,"body":{"wait_seconds":"7"}}', pause(7)],
  ['a fraction is rounded up', '{"status":601,"body":{"wait_seconds":6.2}}', pause(7)],
  ['zero is a second', '{"status":601,"body":{"wait_seconds":0}}', pause(1)],
  ['a negative wait', '{"status":601,"body":{"wait_seconds":-5}}', pause(60)],
  ['a year', '{"status":601,"body":{"wait_seconds":31536000}}', pause(longestWaitSeconds)],
  ['more than any number', '{"status":601,"body":{"wait_seconds":1e999}}', pause(60)],
  ['a list', '{"status":601,"body":{"wait_seconds":[68]}}', pause(60)],
  ['an inherited member', '{"status":601,"body":{"__proto__":{"wait_seconds":5}}}', pause(60)],
  ['no JSON', 'Too Many Requests', pause(60)],
]
for (const [name, body, wait] of envelopes) {
  test(`in an envelope: ${name}`, () => assert.deepEqual(envelope(body), wait))
}

test('an answer whose text was not held is taken for the limit', () => {
  const said = { status: 601, rawHeaders: [], body: null, messageAt: '/error', nowMs }
  assert.deepEqual(readTooMany(withings.limits.tooMany, said), pause(60))
})

const answers: readonly (readonly [
  name: string,
  status: number,
  headers: Readonly<Record<string, string>>,
  wait: Wait | null,
])[] = [
  ['429 with seconds', 429, { 'Retry-After': '30' }, pause(30)],
  ['403 with seconds is a limit too', 403, { 'retry-after': '30' }, pause(30)],
  ['403 alone is none', 403, {}, null],
  ['200 with seconds is none', 200, { 'retry-after': '30' }, null],
  ['a date', 429, { 'retry-after': 'Wed, 25 Nov 2026 12:01:30 GMT' }, pause(90)],
  ['a date that has passed', 429, { 'retry-after': 'Wed, 25 Nov 2026 11:00:00 GMT' }, pause(1)],
  [
    'a date by the provider’s own clock',
    429,
    { 'retry-after': 'Wed, 25 Nov 2026 12:01:30 GMT', date: 'Wed, 25 Nov 2026 12:01:20 GMT' },
    pause(10),
  ],
  ['garbage for seconds', 429, { 'retry-after': 'soon' }, pause(60)],
  [
    'nothing left, and when there is more',
    403,
    { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': `${nowSeconds + 240}` },
    pause(240),
  ],
  [
    'something left',
    403,
    { 'x-ratelimit-remaining': '12', 'x-ratelimit-reset': `${nowSeconds + 240}` },
    null,
  ],
  [
    'nothing left for a century',
    403,
    { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': `${nowSeconds * 3}` },
    pause(longestWaitSeconds),
  ],
  ['nothing left and no word of when', 403, { 'x-ratelimit-remaining': '0' }, pause(60)],
  ['429 without a word', 429, {}, pause(60)],
]
for (const [name, status, headers, wait] of answers) {
  test(`by HTTP: ${name}`, () => {
    const rawHeaders = Object.entries(headers).flat()
    const said = { status, rawHeaders, body: null, messageAt: null, nowMs }
    assert.deepEqual(readTooMany(forge.limits.tooMany, said), wait)
  })
}

const used = (resource: string) => ({
  ...{ 'X-RateLimit-Remaining': '0', 'X-RateLimit-Resource': resource },
  'X-RateLimit-Reset': `${nowSeconds + 40}`,
})
const resources = [
  ['core', pause(40)],
  ['search', again(40)],
] as const
for (const [resource, wait] of resources) {
  test(`GitHub’s limit of ${resource} ${wait.pauses ? 'pauses' : 'does not pause'} the rest`, () => {
    const rawHeaders = Object.entries(used(resource)).flat()
    const said = { status: 403, rawHeaders, body: null, messageAt: null, nowMs }
    assert.deepEqual(readTooMany(github.limits.tooMany, said), wait)
  })
}

test('whatever a provider sends, the wait is a whole number of seconds up to an hour', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (waitSeconds, error) => {
      const wait = envelope(
        JSON.stringify({ status: 601, body: { wait_seconds: waitSeconds }, error }),
      )
      assert.ok(wait && Number.isInteger(wait.seconds))
      assert.ok(wait.seconds >= 1 && wait.seconds <= longestWaitSeconds)
    }),
  )
})

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { readProvider } from '../catalog/load.ts'
import { isRefusal } from '../errors.ts'
import type { ComposedRequest, Target } from '../words.ts'
import { compose } from './compose.ts'

const withings = await readProvider(join(import.meta.dirname, '../../../../providers/withings'))
const forge = await readProvider(join(import.meta.dirname, '../catalog/examples/forge'))
const nowMs = Date.parse('2026-03-01T00:30:00Z')

const formType = 'application/x-www-form-urlencoded'
const jsonType = 'application/json'

const targetOf = (path: string, query: string | null = null): Target => ({
  ...{ provider: 'withings', method: 'POST', path, query },
})

function composeBody(target: Target, contentType: string, body: string) {
  const bytes = Buffer.from(body)
  return compose(target, { rawHeaders: [], body: { contentType, bytes }, nowMs }, withings)
}

function composed(request: ReturnType<typeof compose>): ComposedRequest {
  assert.ok(!isRefusal(request), JSON.stringify(request))
  return request
}

const pairsOf = ({ body }: ComposedRequest): [string, string][] => [
  ...new URLSearchParams(Buffer.from(body ?? []).toString()),
]

/** As PHP reads a form: a name ends at a NUL or bracket, and odd characters become `_`. */
const asPhp = ({ body }: ComposedRequest): [string, string][] =>
  pairsOf({ body } as ComposedRequest).map(([name, value]) => [
    (name.trimStart().split('\0')[0] ?? '').replace(/\[.*/, '').replace(/[ .]/g, '_'),
    value,
  ])

const names = fc.stringMatching(/^[A-Za-z0-9_]{1,8}$/).filter((name) => !/^_|^action$/i.test(name))
const texts = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 20 }),
  fc.constantFrom('a&b=c', '+', '%', '%41', 'a;b', '=', '\r\n', ' ', "~!'()*", 'ü', '😀', '[]'),
)
const values = texts.filter((text) => text.isWellFormed() && !text.includes('\0'))
const parameters = fc.uniqueArray(fc.tuple(names, values), {
  selector: ([name]) => name.toLowerCase(),
  maxLength: 6,
})

test('any reader finds in a composed form exactly what the agent sent', () => {
  fc.assert(
    fc.property(parameters, parameters, (query, body) => {
      const target = targetOf('/unknown', new URLSearchParams(query).toString())
      const request = composeBody(target, formType, new URLSearchParams(body).toString())
      const all = [...query, ...body]
      const isTwice = new Set(all.map(([name]) => name.toLowerCase())).size < all.length
      if (isTwice) return assert.ok(isRefusal(request) && request.code === 'bad_body')
      assert.deepEqual(pairsOf(composed(request)), all)
      assert.deepEqual(asPhp(composed(request)), all)
    }),
    { numRuns: 5_000 },
  )
})

test('JSON and form compose to the same bytes', () => {
  fc.assert(
    fc.property(parameters, (all) => {
      const form = composeBody(targetOf('/x'), formType, new URLSearchParams(all).toString())
      const json = composeBody(targetOf('/x'), jsonType, JSON.stringify(Object.fromEntries(all)))
      const sort = (request: ReturnType<typeof compose>) => pairsOf(composed(request)).sort()
      assert.deepEqual(sort(json), sort(form))
    }),
    { numRuns: 2_000 },
  )
})

test('composing what was composed changes nothing', () => {
  fc.assert(
    fc.property(
      parameters,
      fc.constantFrom('/measure', '/v2/measure', '/v2/sleep'),
      (all, path) => {
        const once = composed(
          composeBody(targetOf(path), formType, new URLSearchParams(all).toString()),
        )
        const again = composeBody(targetOf(once.path), formType, `${Buffer.from(once.body ?? [])}`)
        assert.deepEqual(composed(again), once)
      },
    ),
    { numRuns: 2_000 },
  )
})

test('whatever bytes come, a reader finds the judged action in the sent body, once', () => {
  const bytes = fc.array(
    fc.constantFrom(
      ...['action', 'Action', '=', '&', ';', '%', '%61ction', '%00', '+', '[', ']', '.', 'unlink'],
      ...['getdevice', '%26', '%3D', '"', '{', '}', ':', ',', '\\u0061', '\0', 'ü', '\n', '_'],
    ),
    { maxLength: 10 },
  )
  fc.assert(
    fc.property(bytes, fc.constantFrom(formType, jsonType), (all, contentType) => {
      const request = composeBody(targetOf('/v2/user'), contentType, all.join(''))
      if (isRefusal(request)) return assert.equal(request.code, 'bad_body')
      for (const pairs of [pairsOf(request), asPhp(request)]) {
        const actions = pairs.filter(([name]) => name.toLowerCase() === 'action')
        assert.deepEqual(actions, [['action', request.action]])
      }
    }),
    { numRuns: 20_000 },
  )
})

test('the action comes first, then query, body and defaults', () => {
  const request = composeBody(targetOf('/v2/sleep', 'b=1&a=2'), jsonType, '{"d":3,"c":4}')
  assert.equal(
    Buffer.from(composed(request).body ?? []).toString(),
    'action=getsummary&b=1&a=2&d=3&c=4&startdateymd=2026-01-30&enddateymd=2026-03-01',
  )
})

test('a composed form says what it is, whatever the agent said', () => {
  const rawHeaders = [
    ...['Content-Type', jsonType, 'Content-Length', '2', 'Accept', '*/*', 'Accept-Encoding', 'br'],
  ]
  const body = { contentType: jsonType, bytes: Buffer.from('{}') }
  const request = composed(compose(targetOf('/measure'), { rawHeaders, body, nowMs }, withings))
  assert.deepEqual(request.headers, [
    ['accept', '*/*'],
    ['accept-encoding', 'identity'],
    ['content-type', formType],
  ])
  assert.equal(request.origin, 'https://wbsapi.withings.net')
})

test('a body that streams passes as null, its headers with it', () => {
  const target = { ...targetOf('/repos/a/b', 'x=%20'), method: 'PATCH' }
  const rawHeaders = ['Content-Type', 'text/odd', 'Accept-Encoding', 'br', 'X-Forge-Version', '2']
  const request = composed(compose(target, { rawHeaders, body: null, nowMs }, forge))
  assert.equal(request.body, null)
  assert.equal(request.query, 'x=%20')
  assert.deepEqual(request.headers, [
    ['content-type', 'text/odd'],
    ['accept-encoding', 'br'],
    ['x-forge-version', '2'],
  ])
})

test('100,000 parameters are read in one pass', () => {
  const body = Array.from({ length: 100_000 }, (_, i) => `p${i}=1`).join('&')
  const start = performance.now()
  assert.equal(pairsOf(composed(composeBody(targetOf('/x'), formType, body))).length, 100_000)
  assert.ok(performance.now() - start < 2_000)
})

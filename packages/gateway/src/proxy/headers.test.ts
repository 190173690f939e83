import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { readProvider } from '../catalog/load.ts'
import { methodOverride, requestHeaders, responseHeaders } from './headers.ts'
import type { Place } from './links.ts'

const withings = await readProvider(join(import.meta.dirname, '../../../../providers/withings'))
const forge = await readProvider(join(import.meta.dirname, '../catalog/examples/forge'))

const place: Place = {
  ...{ provider: forge, publicUrl: 'https://gate.example', calledPath: '/repos/ada/engine' },
  sentTo: 'https://api.forge.example/repos/ada/engine',
}

test('the documented request headers pass, in lower case and in order', () => {
  const raw = [
    'User-Agent',
    'curl/8',
    'ACCEPT',
    '*/*',
    'If-None-Match',
    '"x"',
    'Range',
    'bytes=0-1',
  ]
  assert.deepEqual(requestHeaders(raw, forge), [
    ['user-agent', 'curl/8'],
    ['accept', '*/*'],
    ['if-none-match', '"x"'],
    ['range', 'bytes=0-1'],
  ])
})

const dropped = [
  ...['Authorization', 'Proxy-Authorization', 'Cookie', 'Host', 'Content-Length', 'Connection'],
  ...['Keep-Alive', 'Proxy-Connection', 'TE', 'Trailer', 'Transfer-Encoding', 'Upgrade', 'Expect'],
  ...['Forwarded', 'X-Forwarded-For', 'X-Forwarded-Host', 'X-Real-IP', 'Via', 'Origin', 'Referer'],
  ...['X-HTTP-Method-Override', 'X-Api-Key', 'Okoro-Request-Id', 'HTTP2-Settings', 'X-Unknown'],
]

for (const name of dropped) {
  test(`${name} never reaches a provider`, () => {
    for (const provider of [forge, withings]) {
      const headers = requestHeaders([name, 'x', name.toLowerCase(), 'x'], provider)
      assert.deepEqual(
        headers.filter(([, value]) => value === 'x'),
        [],
      )
    }
  })
}

test('what Connection nominates is dropped, wherever it stands', () => {
  const raw = [
    'Accept',
    '*/*',
    'Range',
    'x',
    'connection',
    'close, Range , ACCEPT',
    'If-Match',
    '"a"',
  ]
  assert.deepEqual(requestHeaders(raw, forge), [['if-match', '"a"']])
})

test('a provider with an envelope is asked for an answer that can be read', () => {
  const raw = ['Accept-Encoding', 'gzip', 'accept-encoding', 'br']
  assert.deepEqual(requestHeaders(raw, withings), [['accept-encoding', 'identity']])
  assert.deepEqual(requestHeaders([], withings), [['accept-encoding', 'identity']])
})

const github = await readProvider(join(import.meta.dirname, '../../../../providers/github'))

test('a default stands in for a header that the agent does not send, and only then', () => {
  const [agent, version] = ['user-agent', 'x-github-api-version']
  assert.deepEqual(requestHeaders([], github), [
    [agent, 'okoro'],
    [version, '2022-11-28'],
  ])
  assert.deepEqual(requestHeaders(['User-Agent', 'octokit', 'X-GitHub-Api-Version', '1'], github), [
    [agent, 'octokit'],
    [version, '1'],
  ])
  const nominated = ['User-Agent', 'octokit', 'Connection', 'user-agent']
  assert.deepEqual(requestHeaders(nominated, github)[0], [agent, 'okoro'])
})

test('headers about the body pass only where the body does', () => {
  const raw = ['Content-Type', 'text/plain', 'Content-Encoding', 'gzip']
  assert.equal(requestHeaders(raw, forge).length, 2)
  assert.deepEqual(requestHeaders(raw, withings), [['accept-encoding', 'identity']])
})

test('the answer keeps its headers as they came, doubles too', () => {
  const raw = [
    ...['Content-Type', 'application/json', 'ETag', '"x"', 'Vary', 'a', 'Vary', 'b'],
    ...['Content-Length', '2', 'Retry-After', '10', 'X-RateLimit-Remaining', '9'],
  ]
  assert.deepEqual(responseHeaders(raw, place), raw)
})

const kept = [
  ...['Connection', 'Keep-Alive', 'Proxy-Connection', 'TE', 'Trailer', 'Transfer-Encoding'],
  ...['Upgrade', 'Set-Cookie', 'SET-COOKIE2', 'WWW-Authenticate', 'Proxy-Authenticate', 'Alt-Svc'],
  ...['Clear-Site-Data', 'Strict-Transport-Security', 'Okoro-Error', 'okoro-request-id'],
  ...['Authorization', 'X-Auth-Token', 'X-API-Key', 'Authentication-Info'],
]

for (const name of kept) {
  test(`${name} never reaches an agent`, () => {
    assert.deepEqual(responseHeaders([name, 'x', 'Date', 'now'], place), ['Date', 'now'])
  })
}

test('a provider may nominate headers away, but not the length', () => {
  const raw = ['Connection', 'X-Trace, Content-Length', 'X-Trace', '1', 'Content-Length', '2']
  assert.deepEqual(responseHeaders(raw, place), ['Content-Length', '2'])
})

test('method overrides are refused in every spelling', () => {
  for (const name of [
    ...['X-HTTP-Method-Override', 'x-http-method-override', 'X-HTTP-Method', 'X-Method-Override'],
    ...['X_HTTP_METHOD_OVERRIDE', 'x_method-override', '_method', 'X.HTTP.Method'],
  ]) {
    const refusal = methodOverride(['Accept', '*/*', name, 'DELETE'])
    assert.equal(refusal?.code, 'forbidden_parameter', name)
  }
  assert.equal(methodOverride(['Accept', 'X-HTTP-Method-Override', 'X-Methods', 'DELETE']), null)
})

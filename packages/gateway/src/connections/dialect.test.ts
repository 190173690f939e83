import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OAuth2 } from '../catalog/auth/oauth2.ts'
import { printable, readTokenAnswer } from './dialect.ts'

/** As RFC 6749 has it, and as Withings has it. */
const plain: OAuth2['token'] = {
  url: 'https://id.example/token',
  parameters: {},
  clientAuthentication: 'body',
  answer: {
    ...{ members: '', status: null, ok: [0], message: '/error', account: null },
    scopeSeparator: ' ',
  },
  dead: [],
  rotates: true,
  codeLifetimeSeconds: 60,
}
const nested: OAuth2['token'] = {
  ...plain,
  answer: {
    ...{ members: '/body', status: '/status', ok: [0], message: '/error', scopeSeparator: ',' },
    account: '/body/userid',
  },
  dead: [{ status: [503], message: 'invalid refresh_token' }],
}
const raw = (json: unknown, httpStatus = 200) => ({ httpStatus, retryAfterSeconds: null, json })

const tokens = { access_token: 'a', refresh_token: 'r', expires_in: 10_800 }
const envelope = (body: unknown) => raw({ status: 0, body })

test('a nested answer becomes the one of RFC 6749', () => {
  const answer = envelope({ ...tokens, scope: 'user.info,user.metrics', userid: 363 })
  const body = { ...tokens, token_type: 'bearer', scope: 'user.info user.metrics' }
  assert.deepEqual(readTokenAnswer(nested, answer), { kind: 'conform', body, account: '363' })
})

const readings = [
  { name: 'expires_in as text', given: { expires_in: '60' }, body: { expires_in: 60 } },
  { name: 'expires_in of null is left out', given: { expires_in: null }, body: {} },
  { name: 'expires_in of 0 is left out', given: { expires_in: 0 }, body: {} },
  { name: 'a missing refresh token stays missing', given: {}, body: {} },
  { name: 'an empty refresh token is none', given: { refresh_token: '' }, body: {} },
  { name: 'scopes as a list', given: { scope: ['a', 'b'] }, body: { scope: 'a b' } },
  { name: 'other members are dropped', given: { csrf_token: 'x', id_token: 'y' }, body: {} },
  {
    name: 'another token type is kept for judging',
    given: { token_type: 'mac' },
    body: { token_type: 'mac' },
  },
]
for (const { name, given, body } of readings) {
  test(`token answer: ${name}`, () => {
    const read = readTokenAnswer(nested, envelope({ access_token: 'a', ...given }))
    const expected = { token_type: 'bearer', access_token: 'a', ...body }
    assert.deepEqual(read, { kind: 'conform', body: expected, account: null })
  })
}

const failures = [
  {
    name: 'a dead refresh token in an HTTP 200',
    dialect: nested,
    answer: raw({ status: 503, error: 'Invalid Params: Invalid Refresh_Token' }),
    kind: 'dead',
  },
  {
    name: 'the same status with another text',
    dialect: nested,
    answer: raw({ status: 503, error: 'Invalid Params: invalid code' }),
    kind: 'retry',
  },
  {
    name: 'the text with another status',
    dialect: nested,
    answer: raw({ status: 601, error: 'invalid refresh_token' }),
    kind: 'retry',
  },
  {
    name: 'the provider is busy',
    dialect: nested,
    answer: raw({ status: 601, body: {}, error: 'Too Many Requests' }),
    kind: 'retry',
  },
  {
    name: 'tokens beside a failing status',
    dialect: nested,
    answer: raw({ status: 401, body: tokens }),
    kind: 'retry',
  },
  {
    name: 'no status where one belongs',
    dialect: nested,
    answer: raw({ body: tokens }),
    kind: 'retry',
  },
  {
    name: 'the status as text',
    dialect: nested,
    answer: raw({ status: '0', body: tokens }),
    kind: 'retry',
  },
  { name: 'success without a token', dialect: nested, answer: envelope({}), kind: 'retry' },
  { name: 'no JSON', dialect: nested, answer: raw(undefined), kind: 'retry' },
  { name: 'a list', dialect: nested, answer: raw([1]), kind: 'retry' },
  {
    name: 'members that only the prototype has',
    dialect: { ...nested, answer: { ...nested.answer, members: '/__proto__' } },
    answer: envelope(tokens),
    kind: 'retry',
  },
  {
    name: 'invalid_grant',
    dialect: plain,
    answer: raw({ error: 'invalid_grant' }, 400),
    kind: 'dead',
  },
  {
    name: 'invalid_client',
    dialect: plain,
    answer: raw({ error: 'invalid_client' }, 401),
    kind: 'refused',
  },
  {
    name: 'temporarily_unavailable',
    dialect: plain,
    answer: raw({ error: 'temporarily_unavailable' }, 400),
    kind: 'retry',
  },
  {
    name: 'invalid_grant from a failing server',
    dialect: plain,
    answer: raw({ error: 'invalid_grant' }, 503),
    kind: 'retry',
  },
  { name: 'tokens behind a redirect', dialect: plain, answer: raw(tokens, 302), kind: 'retry' },
] as const
for (const { name, dialect, answer, kind } of failures) {
  test(`token failure: ${name} is ${kind}`, () => {
    assert.equal(readTokenAnswer(dialect, answer).kind, kind)
  })
}

test('a failure says what the provider said, and whether it spoke at all', () => {
  const busy = { status: 601, error: 'Too Many\n\u001b[31mRequests' }
  const retryAfterSeconds = 68
  const said = readTokenAnswer(nested, { ...raw(busy), retryAfterSeconds })
  assert.deepEqual(said, {
    ...{ kind: 'retry', code: 'upstream_invalid', hasAnswered: true },
    ...{ text: '601 Too Many [31mRequests', retryAfterSeconds },
  })
  const silent = readTokenAnswer(nested, raw(undefined, 502))
  assert.deepEqual([silent.kind, 'hasAnswered' in silent && silent.hasAnswered], ['retry', false])
})

test('what a stranger wrote is cut to one well-formed line', () => {
  assert.equal(printable('a\r\nb\tc\u202Ed'), 'a b c d')
  assert.equal(printable(`${'x'.repeat(199)}😀`).length, 200)
  assert.ok(printable(`${'x'.repeat(199)}😀`).isWellFormed())
})

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import type { OAuth2 } from '../catalog/auth/oauth2.ts'
import { Malfunction } from '../errors.ts'
import { Secret } from '../secret.ts'
import type { ProviderFetch } from './egress.ts'
import {
  authorizationUrl,
  type Caller,
  newVerifier,
  readCallback,
  refreshTokens,
  tradeCode,
} from './oauth2.ts'

/** A provider that keeps to RFC 6749, with PKCE and HTTP Basic. */
const auth: OAuth2 = {
  scheme: 'oauth2',
  pkce: 'S256',
  authorize: {
    ...{ url: 'https://id.example/authorize?tenant=1', scopeSeparator: ' ' },
    parameters: { access_type: 'offline' },
  },
  token: {
    ...{ url: 'https://id.example/token', parameters: { audience: 'api' } },
    ...{ clientAuthentication: 'basic', dead: [], rotates: true, codeLifetimeSeconds: 60 },
    answer: {
      ...{ members: '', status: null, ok: [], message: '/error', account: '/sub' },
      scopeSeparator: ' ',
    },
  },
  scopes: [
    { name: 'a', summary: 'A' },
    { name: 'b', summary: 'B' },
  ],
  redirectUri: null,
  inject: { scheme: 'bearer', secret: 'access_token' },
  ...{ probe: null, origins: ['https://id.example'], isRenewable: true },
}
const redirectUri = 'https://okoro.example/connect/callback/x'

type Sent = {
  readonly url: string
  readonly headers: Record<string, string>
  readonly body: string
}

/** A token endpoint in place of a socket: it keeps what was sent. */
function endpoint(answer: () => Response) {
  const sent: Sent[] = []
  const fetch: ProviderFetch = async (url, { headers, body }) => {
    sent.push({ url, headers: { ...headers }, body: `${body}` })
    return answer()
  }
  const caller: Caller = { auth, clientId: 'c:1', clientSecret: new Secret('s&2'), fetch }
  return { sent, caller }
}

const parameters = (state = 's') => {
  const callback = readCallback(auth, new URLSearchParams({ state, code: 'the-code' }), state)
  assert.ok(callback.kind === 'code')
  return callback.parameters
}

test('the authorization URL asks for every scope and binds state and verifier', async () => {
  const verifier = newVerifier(auth) ?? ''
  const request = { clientId: 'c:1', redirectUri, state: 'the-state', verifier }
  const url = new URL(await authorizationUrl(auth, request))
  assert.equal(url.origin + url.pathname, 'https://id.example/authorize')
  assert.deepEqual(Object.fromEntries(url.searchParams), {
    ...{ tenant: '1', access_type: 'offline', response_type: 'code', client_id: 'c:1' },
    ...{ redirect_uri: redirectUri, scope: 'a b', state: 'the-state' },
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  })
})

test('a provider without PKCE is asked without it', async () => {
  const plain: OAuth2 = { ...auth, pkce: 'none' }
  assert.equal(newVerifier(plain), null)
  const request = { clientId: 'c', redirectUri, state: 's', verifier: null }
  assert.ok(!(await authorizationUrl(plain, request)).includes('code_challenge'))
})

test('a code is traded with verifier, redirect URI and HTTP Basic', async () => {
  const body = { access_token: 'at', token_type: 'Bearer', expires_in: 60, sub: 'u1', scope: 'a' }
  const { sent, caller } = endpoint(() => Response.json(body))
  const tokens = await tradeCode(caller, { parameters: parameters(), redirectUri, verifier: 'v' })
  assert.ok(tokens.kind === 'tokens')
  assert.equal(tokens.accessToken.reveal(), 'at')
  const { refreshToken, expiresInSeconds, scopes, account } = tokens
  assert.deepEqual([refreshToken, expiresInSeconds, scopes, account], [null, 60, 'a', 'u1'])
  const [request] = sent
  assert.equal(request?.url, 'https://id.example/token')
  assert.deepEqual(Object.fromEntries(new URLSearchParams(request?.body)), {
    ...{ grant_type: 'authorization_code', code: 'the-code', redirect_uri: redirectUri },
    ...{ code_verifier: 'v', audience: 'api' },
  })
  // RFC 6749, section 2.3.1: both are form-encoded before they are joined.
  const basic = Buffer.from('c%3A1:s%262').toString('base64')
  assert.equal(request?.headers.authorization, `Basic ${basic}`)
})

test('a refresh sends the old refresh token and nothing of a code', async () => {
  const { sent, caller } = endpoint(() =>
    Response.json({ access_token: 'at', refresh_token: 'r2' }),
  )
  const tokens = await refreshTokens(caller, new Secret('r1'))
  assert.ok(tokens.kind === 'tokens')
  assert.equal(tokens.refreshToken?.reveal(), 'r2')
  assert.deepEqual(Object.fromEntries(new URLSearchParams(sent[0]?.body)), {
    ...{ grant_type: 'refresh_token', refresh_token: 'r1', audience: 'api' },
  })
})

const callbacks = [
  { name: 'a code', query: 'state=s&code=c', kind: 'code' },
  { name: 'a code with an issuer', query: 'state=s&code=c&iss=https://id.example', kind: 'code' },
  { name: 'a refusal', query: 'state=s&error=access_denied', kind: 'error' },
  { name: 'a code and a refusal', query: 'state=s&code=c&error=access_denied', kind: 'error' },
  { name: 'another state', query: 'state=t&code=c', kind: 'malformed' },
  { name: 'no state', query: 'code=c', kind: 'malformed' },
  { name: 'two states', query: 'state=s&state=s&code=c', kind: 'malformed' },
  { name: 'two codes', query: 'state=s&code=c&code=d', kind: 'malformed' },
  { name: 'no code', query: 'state=s', kind: 'malformed' },
  { name: 'an empty code', query: 'state=s&code=', kind: 'malformed' },
  { name: 'an implicit token', query: 'state=s&code=c&token=t', kind: 'malformed' },
] as const
for (const { name, query, kind } of callbacks) {
  test(`callback: ${name} is read as ${kind}`, () => {
    assert.equal(readCallback(auth, new URLSearchParams(query), 's').kind, kind)
  })
}

const answers = [
  {
    name: 'a dead grant',
    answer: () => Response.json({ error: 'invalid_grant' }, { status: 400 }),
    kind: 'dead',
  },
  {
    name: 'a wrong secret',
    answer: () => Response.json({ error: 'invalid_client' }, { status: 401 }),
    kind: 'refused',
  },
  {
    name: 'a token type that cannot be used',
    answer: () => Response.json({ access_token: 'at', token_type: 'mac' }),
    kind: 'retry',
  },
  {
    name: 'an HTML page',
    answer: () => new Response('<h1>Bad gateway</h1>', { status: 502 }),
    kind: 'retry',
  },
  { name: 'a redirect', answer: () => new Response(null, { status: 302 }), kind: 'retry' },
] as const
for (const { name, answer, kind } of answers) {
  test(`${name} is judged ${kind}`, async () => {
    const judged = await refreshTokens(endpoint(answer).caller, new Secret('r1'))
    assert.equal(judged.kind, kind)
  })
}

test('how long to wait is taken from Retry-After in seconds', async () => {
  const answer = () => new Response(null, { status: 429, headers: { 'retry-after': '68' } })
  const judged = await refreshTokens(endpoint(answer).caller, new Secret('r1'))
  assert.ok(judged.kind === 'retry')
  assert.equal(judged.retryAfterSeconds, 68)
})

test('a secret that the provider repeats is cut out of what it said', async () => {
  const error = 'unknown token r1-secret of client s&2'
  const { caller } = endpoint(() => Response.json({ error }, { status: 400 }))
  const judged = await refreshTokens(caller, new Secret('r1-secret'))
  assert.ok(judged.kind === 'retry')
  assert.equal(judged.text, '400 unknown token [redacted] of client [redacted]')
})

test('silence is a failure to try again, and a bug of ours is no silence', async () => {
  const timeout = new Malfunction('upstream_timeout', 'https://id.example did not answer in time.')
  const silent = endpoint(() => {
    throw timeout
  })
  const judged = await refreshTokens(silent.caller, new Secret('r1'))
  assert.deepEqual([judged.kind, 'code' in judged && judged.code], ['retry', 'upstream_timeout'])
  const broken = endpoint(() => {
    throw new TypeError('a bug')
  })
  await assert.rejects(refreshTokens(broken.caller, new Secret('r1')), TypeError)
})

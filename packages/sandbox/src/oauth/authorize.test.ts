import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  allow,
  allScopes,
  answer,
  authorizeUrl,
  connect,
  openConsent,
  start,
  trade,
} from '../testing.ts'

test('allowing leads back to the application with code, state and its own query', async () => {
  await using sandbox = await start()
  const request = await openConsent(authorizeUrl(sandbox.url))
  const response = await answer(sandbox.url, [
    ['request', request],
    ['decision', 'allow'],
    ['scope', 'user.metrics'],
  ])
  assert.equal(response.status, 302)
  const location = response.headers.get('location') ?? ''
  assert.match(
    location,
    /^http:\/\/127\.0\.0\.1:9\/callback\?from=withings&code=[0-9a-f]{40}&state=state-1$/,
  )
})

test('denying leads back with access_denied and no code', async () => {
  await using sandbox = await start()
  const request = await openConsent(authorizeUrl(sandbox.url))
  const response = await answer(sandbox.url, [
    ['request', request],
    ['decision', 'deny'],
    ['scope', 'user.metrics'],
  ])
  const params = new URL(response.headers.get('location') ?? '').searchParams
  assert.deepEqual(
    [params.get('error'), params.get('state'), params.has('code')],
    ['access_denied', 'state-1', false],
  )
})

const wrongRequests: readonly (readonly [string, Readonly<Record<string, string | null>>])[] = [
  ['an unknown client', { client_id: 'nobody' }],
  ['no client', { client_id: null }],
  ['a foreign redirect URI', { redirect_uri: 'https://evil.example/' }],
  [
    'a redirect URI with one character more',
    { redirect_uri: 'http://127.0.0.1:9/callback?from=withings&' },
  ],
  ['no redirect URI', { redirect_uri: null }],
  ['no state', { state: null }],
  ['an empty state', { state: '' }],
  ['scopes separated by spaces', { scope: 'user.info user.metrics' }],
  ['an unknown scope', { scope: 'user.info,user.everything' }],
  ['a name of the prototype as scope', { scope: 'constructor' }],
  ['no scope', { scope: null }],
  ['the implicit flow', { response_type: 'token' }],
  ['an unknown mode', { mode: 'live' }],
]

for (const [what, changes] of wrongRequests) {
  test(`${what} shows an error page and redirects nowhere`, async () => {
    await using sandbox = await start()
    const response = await fetch(authorizeUrl(sandbox.url, changes), { redirect: 'manual' })
    const page = await response.text()
    assert.equal(response.status, 400)
    assert.equal(response.headers.get('location'), null)
    assert.doesNotMatch(page, /<form/)
  })
}

test('a parameter given twice shows an error page', async () => {
  await using sandbox = await start()
  const response = await fetch(`${authorizeUrl(sandbox.url)}&state=state-2`)
  assert.equal(response.status, 400)
})

test('a consent form can be answered once', async () => {
  await using sandbox = await start()
  const request = await openConsent(authorizeUrl(sandbox.url))
  const form = [
    ['request', request],
    ['decision', 'allow'],
    ['scope', 'user.info'],
  ] as const
  assert.equal((await answer(sandbox.url, form)).status, 302)
  assert.equal((await answer(sandbox.url, form)).status, 400)
})

test('a form without a known request id is refused', async () => {
  await using sandbox = await start()
  for (const id of ['', 'f'.repeat(40)]) {
    const response = await answer(sandbox.url, [
      ['request', id],
      ['decision', 'allow'],
    ])
    assert.equal(response.status, 400)
    assert.equal(response.headers.get('location'), null)
  }
})

test('the person may grant fewer scopes than were asked for', async () => {
  await using sandbox = await start()
  const { body } = await trade(sandbox, await allow(sandbox.url, ['user.activity']))
  assert.equal(body.scope, 'user.activity')
})

test('a scope that was not asked for cannot be granted by editing the form', async () => {
  await using sandbox = await start()
  const request = await openConsent(authorizeUrl(sandbox.url, { scope: 'user.info' }))
  const response = await answer(sandbox.url, [
    ['request', request],
    ['decision', 'allow'],
    ['scope', 'user.info'],
    ['scope', 'user.metrics'],
  ])
  const code = new URL(response.headers.get('location') ?? '').searchParams.get('code') ?? ''
  assert.equal((await trade(sandbox, code)).body.scope, 'user.info')
})

test('allowing nothing asks again', async () => {
  await using sandbox = await start()
  const request = await openConsent(authorizeUrl(sandbox.url))
  const response = await answer(sandbox.url, [
    ['request', request],
    ['decision', 'allow'],
  ])
  assert.equal(response.headers.get('location'), null)
  assert.match(await response.text(), /role="alert"/)
})

test('the page escapes what an application puts on it and allows no script', async () => {
  await using sandbox = await start()
  const clientId = `<script>alert(1)</script>"'`
  const uri = 'http://localhost/cb'
  sandbox.registerApplication({ clientId, clientSecret: 's', redirectUris: [uri] })
  const response = await fetch(
    authorizeUrl(sandbox.url, { client_id: clientId, redirect_uri: uri }),
  )
  const page = await response.text()
  assert.doesNotMatch(page, /<script/)
  assert.match(page, /&lt;script&gt;alert\(1\)&lt;\/script&gt;&quot;&#39;/)
  const policy = response.headers.get('content-security-policy') ?? ''
  assert.match(policy, /default-src 'none'/)
  assert.doesNotMatch(policy, /script-src|unsafe-inline/)
})

test('every scope on the page has a labelled checkbox of its own', async () => {
  await using sandbox = await start()
  const page = await (await fetch(authorizeUrl(sandbox.url))).text()
  for (const scope of allScopes) {
    assert.match(page, new RegExp(`<label><input type="checkbox" name="scope" value="${scope}"`))
  }
})

test('an application may not register what is no redirect URI', async () => {
  await using sandbox = await start()
  const wrong = [
    'javascript:alert(1)',
    'okoro://cb',
    'https://a.example/#x',
    'callback',
    `https://a.example/${'x'.repeat(255)}`,
  ]
  for (const uri of wrong) {
    assert.throws(
      () => sandbox.registerApplication({ clientId: 'x', clientSecret: 's', redirectUris: [uri] }),
      /not a redirect URI/,
    )
  }
})

test('a new connection starts with one subscription', async () => {
  await using sandbox = await connect()
  const { body } = await sandbox.call<{ profiles: object[] }>('/notify', { action: 'list' })
  assert.equal(body.profiles.length, 1)
})

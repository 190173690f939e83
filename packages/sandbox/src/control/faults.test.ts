import assert from 'node:assert/strict'
import { connect as openSocket } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { connect, refresh, type Started } from '../testing.ts'
import type { Fault } from './faults.ts'

const getgoals = { action: 'getgoals' }

function plan(sandbox: Pick<Started, 'control'>, ...faults: readonly Fault[]) {
  return sandbox.control('POST', '/faults', { faults })
}

test('a fault counts down and then lets calls through', async () => {
  await using sandbox = await connect()
  await plan(sandbox, {
    kind: 'envelope',
    status: 601,
    error: 'Too Many Requests',
    body: '{"wait_seconds":68}',
    times: 2,
  })
  const limited = { status: 601, body: { wait_seconds: 68 }, error: 'Too Many Requests' }
  assert.deepEqual(await sandbox.call('/v2/user', getgoals), limited)
  assert.deepEqual(await sandbox.call('/v2/user', getgoals), limited)
  assert.equal((await sandbox.call('/v2/user', getgoals)).status, 0)
})

test('a fault without times stays until it is deleted', async () => {
  await using sandbox = await connect()
  await plan(sandbox, { kind: 'envelope', status: 522 })
  for (let call = 0; call < 3; call += 1) {
    assert.equal((await sandbox.call('/v2/user', getgoals)).status, 522)
  }
  await sandbox.control('DELETE', '/faults')
  assert.equal((await sandbox.call('/v2/user', getgoals)).status, 0)
})

test('a fault meets its path and action alone', async () => {
  await using sandbox = await connect()
  await plan(sandbox, { kind: 'envelope', status: 522, path: '/v2/user', action: 'getdevice' })
  assert.equal((await sandbox.call('/v2/user', getgoals)).status, 0)
  assert.equal((await sandbox.call('/measure', { action: 'getmeas' })).status, 0)
  assert.equal((await sandbox.call('/v2/user', { action: 'getdevice' })).status, 522)
})

test('http answers with the given status, headers and body', async () => {
  await using sandbox = await connect()
  const headers = { location: 'https://elsewhere.example/' }
  await plan(sandbox, { kind: 'http', status: 302, headers, body: '<h1>moved</h1>' })
  const response = await fetch(`${sandbox.url}/measure`, { redirect: 'manual' })
  assert.equal(response.status, 302)
  assert.equal(response.headers.get('location'), 'https://elsewhere.example/')
  assert.equal(await response.text(), '<h1>moved</h1>')
})

test('slow answers truly, later', async () => {
  await using sandbox = await connect()
  await plan(sandbox, { kind: 'slow', delay_ms: 150 })
  const before = performance.now()
  assert.equal((await sandbox.call('/v2/user', getgoals)).status, 0)
  assert.ok(performance.now() - before >= 145)
})

test('reset closes the connection without a byte', async () => {
  await using sandbox = await connect()
  await plan(sandbox, { kind: 'reset' })
  await assert.rejects(sandbox.call('/v2/user', getgoals))
})

test('reset_midway sends the head and a part of the body', async () => {
  await using sandbox = await connect()
  await plan(sandbox, { kind: 'reset_midway' })
  const response = await fetch(`${sandbox.url}/measure`)
  assert.equal(response.status, 200)
  await assert.rejects(response.text())
})

test('hang never answers', async () => {
  await using sandbox = await connect()
  await plan(sandbox, { kind: 'hang' })
  const signal = AbortSignal.timeout(150)
  await assert.rejects(fetch(`${sandbox.url}/measure`, { signal }), { name: 'TimeoutError' })
})

test('endless sends a body that goes on', async () => {
  await using sandbox = await connect()
  await plan(sandbox, { kind: 'endless', delay_ms: 1 })
  const response = await fetch(`${sandbox.url}/measure`)
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > 20_000) break
  }
  assert.ok(size > 20_000)
})

test('garbage is no HTTP', async () => {
  await using sandbox = await connect()
  await plan(sandbox, { kind: 'garbage' })
  const socket = openSocket(Number(new URL(sandbox.url).port), '127.0.0.1')
  socket.write('GET /measure HTTP/1.1\r\nhost: sandbox\r\n\r\n')
  assert.doesNotMatch(await text(socket), /^HTTP/)
})

test('a call that a fault swallows takes no effect, unless it says after_effect', async () => {
  await using sandbox = await connect()
  const tokens = async () =>
    ((await sandbox.control('GET', '/state')).body.tokens as readonly object[]).length
  await plan(sandbox, { kind: 'reset', path: '/v2/oauth2', times: 1 })
  await assert.rejects(refresh(sandbox, sandbox.tokens.refresh_token))
  assert.equal(await tokens(), 1)
  await plan(sandbox, { kind: 'reset', path: '/v2/oauth2', times: 1, after_effect: true })
  await assert.rejects(refresh(sandbox, sandbox.tokens.refresh_token))
  assert.equal(await tokens(), 2)
})

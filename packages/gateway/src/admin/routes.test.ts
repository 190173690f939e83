import assert from 'node:assert/strict'
import { test } from 'node:test'
import { recordsOf } from '../connections/testing.ts'
import { forEachStore } from '../store/testing.ts'
import { openAdmin } from './testing.ts'

forEachStore((stores, dialect) => {
  test('the status tells what runs, and no secret', async () => {
    const { call } = await openAdmin(await stores.open())
    const { body } = await call('GET', '/status')
    assert.deepEqual(
      [body.version, body.database, body.public_url, body.sandboxes],
      ['0.0.0-test', dialect, 'http://127.0.0.1:8420', {}],
    )
    assert.match(body.root_key, /^[0-9a-f]{16}$/)
  })

  test('a provider is shown with its rules and what its redirect URI means', async () => {
    const { call } = await openAdmin(await stores.open())
    const { items } = (await call('GET', '/providers')).body
    assert.ok(items.some(({ name }: { name: string }) => name === 'withings'))
    const { body } = await call('GET', '/providers/withings')
    const rule = body.rules.find(({ id }: { id: string }) => id === 'measure.getmeas')
    assert.equal(rule.level, 'read')
    assert.equal(body.redirect_uri, 'http://127.0.0.1:8420/connect/callback/withings')
    assert.equal(body.code_lifetime_seconds, 30)
    assert.equal((await call('GET', '/providers/nobody')).body.error, 'unknown_provider')
  })

  test('the signing key is rotated, and the old one still verifies', async () => {
    const store = await stores.open()
    const { call } = await openAdmin(store)
    const before = (await call('GET', '/keys')).body.signing_keys
    assert.deepEqual(
      before.map(({ status }: { status: string }) => status),
      ['signing'],
    )
    const after = (await call('POST', '/keys/rotate')).body.signing_keys
    const old = after.find(({ id }: { id: string }) => id === before[0].id)
    assert.deepEqual([after.length, old.status], [2, 'verifying'])
    assert.equal((await recordsOf(store, 'key.rotated')).length, 1)
  })

  test('what is not there is a problem with a request id', async () => {
    const { call } = await openAdmin(await stores.open())
    const { status, body, headers } = await call('GET', '/nothing')
    assert.deepEqual([status, body.error], [404, 'not_found'])
    assert.equal(headers.get('okoro-request-id'), body.request_id)
    assert.match(body.request_id, /^req_[0-9a-f]{24}$/)
  })
})

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { Hono } from 'hono'
import { hashOfToken } from '../config/settings.ts'
import { guardAdmin } from './access.ts'
import { findAdminToken } from './admin-token.ts'
import type { AdminEnv } from './answer.ts'

const token = 'correct-horse-battery-staple-0123456789'

/** What the guarded door says; 204 stands for having passed. */
function knock(headers: Record<string, string>, adminHost = '127.0.0.1') {
  const routes = new Hono<AdminEnv>().get('/api/v1/agents', (c) => c.body(null, 204))
  const publicUrl = 'http://127.0.0.1:8420'
  const guard = { tokenHash: hashOfToken(token), adminHost, publicUrl, random: randomBytes }
  return guardAdmin(routes, guard).request('http://127.0.0.1:8421/api/v1/agents', { headers })
}

const authorization = `Bearer ${token}`

for (const host of ['127.0.0.1:8421', 'localhost:8421', '[::1]:8421', 'LOCALHOST']) {
  test(`the admin token opens the listener as ${host}`, async () => {
    assert.equal((await knock({ host, authorization })).status, 204)
  })
}

suite('a caller without the token is refused', () => {
  for (const sent of ['', 'Bearer', `Bearer ${token}x`, `Basic ${token}`, `Bearer ${token} x`]) {
    test(`with "${sent.replace(token, '<token>')}"`, async () => {
      const refusal = await knock({ host: 'localhost', authorization: sent })
      assert.equal(refusal.status, 401)
      assert.match(refusal.headers.get('www-authenticate') ?? '', /^Bearer /)
      assert.ok(!(await refusal.text()).includes(token))
    })
  }
})

suite('a name that is not this listener is refused, token or not', () => {
  for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.nip.io:8421', '']) {
    test(`"${host}"`, async () => {
      const refusal = await knock({ host, authorization })
      assert.equal(refusal.headers.get('okoro-error'), 'invalid_request')
    })
  }
})

test('a listener on every address takes addresses, and no foreign name', async () => {
  assert.equal((await knock({ host: '192.0.2.7:8421', authorization }, '0.0.0.0')).status, 204)
  assert.equal((await knock({ host: 'evil.example', authorization }, '0.0.0.0')).status, 400)
  assert.equal((await knock({ host: 'admin.example', authorization }, 'admin.example')).status, 204)
})

suite('the token in the data folder', () => {
  const folder = mkdtempSync(join(tmpdir(), 'okoro-admin-'))
  const path = join(folder, 'admin.token')
  after(() => rmSync(folder, { recursive: true }))

  test('is generated once, for its owner alone', async () => {
    const first = await findAdminToken(folder, randomBytes)
    assert.equal(statSync(path).mode & 0o777, 0o600)
    assert.equal(first, hashOfToken(readFileSync(path, 'utf8').trim()))
    assert.equal(await findAdminToken(folder, randomBytes), first)
  })

  test('is refused when others may read it', async () => {
    chmodSync(path, 0o644)
    await assert.rejects(findAdminToken(folder, randomBytes), /Others than its owner may use/)
    chmodSync(path, 0o600)
  })

  test('is refused when it is too short to be one', async () => {
    writeFileSync(path, 'letmein\n')
    await assert.rejects(findAdminToken(folder, randomBytes), /no token of 32 characters/)
  })
})

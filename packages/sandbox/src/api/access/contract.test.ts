import assert from 'node:assert/strict'
import { test } from 'node:test'
import { application, connect, nonceOf, signed } from '../../testing.ts'

const contractActions = [
  ['/v2/user', 'get'],
  ['/v2/user', 'activate'],
  ['/v2/user', 'addtorpm'],
  ['/v2/oauth2', 'recoverauthorizationcode'],
  ['/v2/oauth2', 'listusers'],
  ['/v2/oauth2', 'createclient'],
  ['/v2/rawdata', 'activate'],
  ['/v2/rawdata', 'get'],
  ['/v2/dropshipment', 'createorder'],
  ['/v2/nudge', 'create'],
] as const

for (const [path, action] of contractActions) {
  test(`${path} ${action} is for contract partners: 503 unsigned, 2553 signed`, async () => {
    await using sandbox = await connect()
    const unsigned = await sandbox.call(path, { action, client_id: application.clientId })
    assert.deepEqual([unsigned.status, unsigned.body], [503, {}])
    const form = signed(action, await nonceOf(sandbox))
    assert.equal((await sandbox.post(path, form)).status, 2553)
    assert.equal((await sandbox.post(path, form)).status, 343)
    const forged = { ...signed(action, await nonceOf(sandbox)), signature: '0'.repeat(64) }
    assert.equal((await sandbox.post(path, forged)).status, 342)
  })
}

test('a contract service without an action is an unknown one', async () => {
  await using sandbox = await connect()
  assert.equal((await sandbox.call('/v2/rawdata', {})).status, 2554)
})

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { startWithings } from './index.ts'
import { allow, application, clientOf, connect, refresh, start, trade } from './testing.ts'

const main = join(import.meta.dirname, 'main.ts')

async function temporaryFolder() {
  const path = await mkdtemp(join(tmpdir(), 'okoro-sandbox-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) }
}

function run(...args: readonly string[]) {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  return { child, exit: once(child, 'exit') }
}

async function addressesOf(child: ChildProcess): Promise<Record<string, string>> {
  assert.ok(child.stdout !== null)
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  return JSON.parse(line)
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`the process prints its addresses and ends cleanly on ${signal}`, async () => {
    const { child, exit } = run()
    const { url, control_url } = await addressesOf(child)
    assert.equal((await fetch(`${url}/measure`)).status, 200)
    assert.equal((await fetch(`${control_url}/state`)).status, 200)
    child.kill(signal)
    assert.deepEqual(await exit, [0, null])
  })
}

test('a busy port ends the process with one clear line', async () => {
  await using sandbox = await start()
  const { port } = new URL(sandbox.url)
  const { child, exit } = run('--port', port)
  const stderr = text(child.stderr)
  assert.deepEqual(await exit, [1, null])
  assert.match(await stderr, new RegExp(`^the sandbox cannot listen: port ${port} on .* in use\n$`))
})

test('the limits are flags of the process', async () => {
  const flags = ['--duplicate-guard', 'off', '--after-401', 'off', '--requests-per-minute', '7']
  const { child, exit } = run(...flags)
  const { control_url } = await addressesOf(child)
  assert.deepEqual(await (await fetch(`${control_url}/limits`)).json(), {
    duplicate_guard: false,
    after_401: false,
    requests_per_minute: 7,
  })
  child.kill('SIGTERM')
  assert.deepEqual(await exit, [0, null])
})

for (const flags of [
  ['--duplicate-guard', 'no'],
  ['--requests-per-minute', '0'],
]) {
  test(`${flags.join(' ')} ends the process with one clear line`, async () => {
    const { child, exit } = run(...flags)
    const stderr = text(child.stderr)
    assert.deepEqual(await exit, [1, null])
    assert.match(await stderr, new RegExp(`^${flags[0]} must be [^\n]+\n$`))
  })
}

test('a busy control port leaves no listener behind', async () => {
  await using sandbox = await start()
  const controlPort = Number(new URL(sandbox.url).port)
  await assert.rejects(startWithings({ controlPort }), /is already in use/)
})

test('tokens, applications, subscriptions and the clock survive a kill', async () => {
  await using folder = await temporaryFolder()
  const { child, exit } = run('--data', folder.path)
  const { url = '', control_url: controlUrl = '' } = await addressesOf(child)
  const before = clientOf({ url, controlUrl })
  await before.control('POST', '/applications', {
    client_id: application.clientId,
    client_secret: application.clientSecret,
    redirect_uris: application.redirectUris,
  })
  await before.control('POST', '/clock', { advance_seconds: 3600 })
  const old = (await trade(before, await allow(url))).body
  const unlink = { action: 'unlink', mac_address: '00:24:e4:5a:10:01' }
  assert.equal((await before.post('/v2/user', unlink, old.access_token)).status, 0)
  const fresh = (await refresh(before, old.refresh_token)).body
  // Nothing but this first use, the death of the old refresh token, is new at the kill.
  const use = await before.post('/v2/user', { action: 'getgoals' }, fresh.access_token)
  assert.equal(use.status, 0)
  child.kill('SIGKILL')
  await exit

  const sandbox = await startWithings({ dataDir: folder.path })
  const after = clientOf(sandbox)
  try {
    const { body } = await after.control('GET', '/state')
    assert.equal(body.advanced_seconds, 3600)
    assert.equal((body.subscriptions as readonly object[]).length, 1)
    assert.equal((await refresh(after, old.refresh_token)).status, 503)
    assert.equal((await after.post('/v2/user', unlink, fresh.access_token)).status, 503)
    assert.equal((await refresh(after, fresh.refresh_token)).status, 0)
  } finally {
    await sandbox.close()
  }
})

test('the data folder is readable by its owner alone and holds no leftovers', async () => {
  await using folder = await temporaryFolder()
  const dataDir = join(folder.path, 'new', 'folder')
  await using sandbox = await connect(undefined, { dataDir })
  assert.equal((await sandbox.call('/v2/user', { action: 'getgoals' })).status, 0)
  assert.deepEqual(await readdir(dataDir), ['withings.json'])
  assert.equal((await stat(join(dataDir, 'withings.json'))).mode & 0o777, 0o600)
  assert.equal((await stat(dataDir)).mode & 0o777, 0o700)
})

test('a folder of the first format is read on, its tokens, applications and subscriptions kept', async () => {
  await using folder = await temporaryFolder()
  const { clientId, clientSecret, redirectUris } = application
  const owner = { clientId, userId: 20_000_001 }
  const pair = {
    ...owner,
    ...{ accessToken: 'a'.repeat(40), refreshToken: 'b'.repeat(40), scopes: ['user.metrics'] },
    ...{ replaces: null, isAccessUsed: true, accessDiesAt: 4e9, refreshDiesAt: 4e9 },
  }
  const callbackUrl = 'https://health.example.com/withings/notify'
  const first = {
    ...{ version: 1, advanceSeconds: 5 },
    applications: [{ clientId, clientSecret, redirectUris }],
    tokens: [pair],
    subscriptions: [{ ...owner, appli: 1, callbackUrl, comment: 'old' }],
    edits: { confirmations: {}, linkedMacs: [], unlinkedMacs: [] },
  }
  await writeFile(join(folder.path, 'withings.json'), JSON.stringify(first))
  await using sandbox = await start({ dataDir: folder.path })
  const list = await sandbox.post('/notify', { action: 'list' }, pair.accessToken)
  const expected = { appli: 1, callbackurl: callbackUrl, expires: 2_147_483_647, comment: 'old' }
  assert.deepEqual(list.body, { profiles: [expected] })
  assert.equal((await refresh(sandbox, pair.refreshToken)).status, 0)
})

for (const content of ['{"version":1,"tok', '{"version":3}', 'null', '']) {
  test(`a state file of ${JSON.stringify(content)} is refused, not replaced`, async () => {
    await using folder = await temporaryFolder()
    await writeFile(join(folder.path, 'withings.json'), content)
    await assert.rejects(startWithings({ dataDir: folder.path }), /cannot read withings\.json/)
  })
}

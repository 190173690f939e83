import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import {
  folder,
  type GatewayProcess,
  type SandboxProcess,
  startGateway,
  startSandbox,
} from '../gateway.ts'
import { startLoad } from './load.ts'
import { createRandom } from './random.ts'
import { patient } from './run.ts'
import { cast, createWitness, loadEnv, settle, type Witness } from './stage.ts'

/** The embedded database on a disk whose fsync fails: a real process, and a real EIO. */

const place = folder()
const trigger = `${place.path}/fsync-fails`
const library = `${place.path}/failing-fsync.so`
let sandbox: SandboxProcess
let gateway: GatewayProcess
let witness: Witness
let serviceTokens: readonly string[] = []

const start = (port = '0') =>
  startGateway(`${place.path}/data`, {
    ...{ ...loadEnv, OKORO_SANDBOX: `withings=${sandbox.found.url}`, OKORO_PORT: port },
    ...{ LD_PRELOAD: library, TEST_FSYNC_FAILS: trigger },
  })

before(async () => {
  const source = fileURLToPath(new URL('failing-fsync.c', import.meta.url))
  const flags = ['-shared', '-fPIC', '-nostdlib', '-O1', '-w', '-o', library, source]
  const built = spawnSync('gcc', flags, { encoding: 'utf8' })
  assert.equal(built.status, 0, built.stderr)
  sandbox = await startSandbox(`${place.path}/sandbox`)
  gateway = await start()
  serviceTokens = await cast({ ...gateway, sandbox }, 3)
  witness = createWitness(sandbox)
})
after(async () => {
  await gateway?.kill('SIGKILL')
  await sandbox?.kill()
  place.remove()
})

const failures = {
  'of a commit': 'okoro.db-wal',
  'of a checkpoint': 'okoro.db',
}

for (const [where, file] of Object.entries(failures)) {
  test(
    `a failed fsync ${where} ends the process with code 74, and the next start recovers (P3)`,
    patient,
    async (t) => {
      const random = createRandom(74)
      const load = startLoad({ urls: [gateway.url], serviceTokens, workers: 4, random })
      t.after(() => load.stop())
      await load.answered(60)
      writeFileSync(trigger, file)
      assert.equal(await gateway.ended, 74)
      assert.match(gateway.log(), /the database must not be used any more/)
      rmSync(trigger)
      gateway = await start(new URL(gateway.url).port)
      await load.answered(60)
      await load.stop()
      const { complaints } = await settle(gateway, { witness, load })
      assert.deepEqual(complaints.slice(0, 20), [])
    },
  )
}

test('a start whose fsync fails does not serve', patient, async () => {
  await gateway.kill('SIGKILL')
  writeFileSync(trigger, 'okoro.db-wal')
  const refused = await start().catch((error: Error) => error.message)
  assert.match(String(refused), /^ended with 1: .*okoro\.db can't be used: disk I\/O error/s)
  rmSync(trigger)
  gateway = await start()
  assert.equal((await fetch(`${gateway.url}/readyz`)).status, 200)
})

import assert from 'node:assert/strict'
import { chmodSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { startPostgres } from '../store/testing.ts'
import { openFolder } from './testing.ts'

type Finding = { name: string; state: string; message: string; advice: string | null }

test('a fresh machine is told to start, and nothing is made there', async () => {
  const { run, dataDir } = openFolder()
  const { code, json } = await run(['doctor', '--json'])
  assert.equal(code, 0)
  assert.deepEqual(
    json.map(({ state }: Finding) => state),
    ['warn', 'warn'],
  )
  assert.ok(!existsSync(dataDir))
})

test('a folder that others may read fails, with the command that mends it', async () => {
  const { run, dataDir } = openFolder()
  await run(['keys', 'status'])
  const well = await run(['doctor', '--json'])
  assert.equal(well.code, 0, well.stdout)
  const first = well.json.find(({ name }: Finding) => name === 'connections')
  assert.match(first.advice, /okoro connections add github\. It asks for a personal access token/)
  assert.match(
    first.advice,
    /okoro connections add withings.*\/connect\/callback\/withings.*10 users/,
  )
  chmodSync(join(dataDir, 'master.key'), 0o644)
  const { code, stdout } = await run(['doctor'])
  assert.equal(code, 1)
  assert.match(stdout, /fail {2}master key: .*mode 0644/)
  assert.ok(stdout.includes(`chmod 600 ${join(dataDir, 'master.key')}`))
})

test('a gateway that does not open is a finding, not an end', async () => {
  const { run } = openFolder()
  await run(['keys', 'status'])
  const env = { OKORO_MASTER_KEY: 'f'.repeat(64) }
  const { code, json } = await run(['doctor', '--json'], { env })
  assert.equal(code, 1)
  const gateway = json.find(({ name }: Finding) => name === 'gateway')
  assert.equal(gateway.state, 'fail')
  assert.match(gateway.message, /sealed with root key/)
})

test('a PostgreSQL that does not sync fails, because its records would not be durable', async () => {
  const { run } = openFolder()
  const careless = await startPostgres({ fsync: 'off', full_page_writes: 'off' })
  const env = { OKORO_DATABASE_URL: `${careless.url}/postgres` }
  const { code, json } = await run(['doctor', '--json'], { env })
  await careless.stop()
  assert.equal(code, 1)
  const found = json.filter(({ name }: Finding) => name === 'database')
  assert.deepEqual(
    found.map(({ state, message }: Finding) => [state, /\w+=off/.exec(message)?.[0]]),
    [
      ['ok', undefined],
      ['fail', 'fsync=off'],
      ['warn', 'full_page_writes=off'],
    ],
  )
})

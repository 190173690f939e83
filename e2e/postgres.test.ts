import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type PostgresServer, startPostgres } from '../packages/gateway/src/store/testing.ts'
import {
  connectWithings,
  exchange,
  folder,
  type GatewayProcess,
  type SandboxProcess,
  startGateway,
  startSandbox,
  tokenOf,
} from './gateway.ts'

/** The main job once more, with PostgreSQL as the home of everything. */

const place = folder()
let postgres: PostgresServer
let sandbox: SandboxProcess
let gateway: GatewayProcess

const startHere = (port = '0') =>
  startGateway(`${place.path}/data`, {
    OKORO_SANDBOX: `withings=${sandbox.found.url}`,
    ...{ OKORO_DATABASE_URL: `${postgres.url}/postgres`, OKORO_PORT: port },
  })

before(async () => {
  postgres = await startPostgres()
  sandbox = await startSandbox(`${place.path}/sandbox`)
  gateway = await startHere()
  await connectWithings(gateway, sandbox)
})
after(async () => {
  await gateway?.kill()
  await sandbox?.kill()
  await postgres?.stop()
  place.remove()
})

const read = (token: string) =>
  fetch(`${gateway.url}/p/withings/measure`, {
    ...{ method: 'POST', headers: { authorization: `Bearer ${token}` } },
  })

test('an agent reads, a crash loses nothing, and a revocation holds', async () => {
  const made = await gateway.admin('POST', '/agents', {
    ...{ name: 'reader', grants: [{ provider: 'withings', scope: 'read' }] },
  })
  const serviceToken = String(made.body.service_token)
  const token = await tokenOf(await exchange(gateway.url, serviceToken))
  assert.equal(((await (await read(token)).json()) as { status: number }).status, 0)

  await gateway.kill('SIGKILL')
  gateway = await startHere(new URL(gateway.url).port)
  assert.equal(((await (await read(token)).json()) as { status: number }).status, 0)

  await gateway.admin('POST', '/agents/reader/revoke', {})
  assert.equal((await read(token)).status, 401)
})

test('every record gets its place in the log within a second', async () => {
  const listed = async () => {
    const { body } = await gateway.admin('GET', '/audit?limit=100')
    return body.items as unknown as { seq: number; kind: string }[]
  }
  const seen = await listed()
  for (let left = 50; left > 0 && !(await listed()).some(isRevoked); left -= 1) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const records = (await listed()).toSorted((one, other) => one.seq - other.seq)
  assert.ok(records.some(isRevoked), JSON.stringify(seen).slice(0, 300))
  assert.deepEqual(
    records.map(({ seq }) => seq),
    records.map((_, index) => index),
  )
})

const isRevoked = ({ kind }: { kind: string }) => kind === 'agent.revoked'

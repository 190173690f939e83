import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { openSync, statSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import {
  exchange,
  folder,
  type GatewayProcess,
  type SandboxProcess,
  startGateway,
  startSandbox,
  tokenOf,
} from '../gateway.ts'
import { createClient } from './call.ts'
import { type Disk, smallDisk } from './disk.ts'
import { startLoad } from './load.ts'
import { createRandom } from './random.ts'
import { patient } from './run.ts'
import { cast, createWitness, loadEnv, newAgent, settle, until, type Witness } from './stage.ts'

/** The embedded database on a disk that fills up, and its gateway. */

const place = folder()
let disk: Disk
let sandbox: SandboxProcess
let gateway: GatewayProcess
let witness: Witness
let serviceTokens: readonly string[] = []

const start = (port = '0') =>
  startGateway(`${disk.path}/data`, {
    ...{ ...loadEnv, OKORO_SANDBOX: `withings=${sandbox.found.url}`, OKORO_PORT: port },
  })

before(async () => {
  disk = smallDisk(`${place.path}/disk`, 48)
  sandbox = await startSandbox(`${place.path}/sandbox`)
  gateway = await start()
  serviceTokens = await cast({ ...gateway, sandbox }, 3)
  witness = createWitness(sandbox)
})
after(async () => {
  await gateway?.kill('SIGKILL')
  await sandbox?.kill()
  disk?.remove()
  place.remove()
})

const get = async (path: string) => (await fetch(gateway.url + path)).status
const codeOf = (response: Response) => `${response.status} ${response.headers.get('okoro-error')}`

/** A call that is under way when the disk runs full: its answer comes when nothing can be written. */
async function beginLate(bearer: string): Promise<{ readonly end: Promise<string> }> {
  await sandbox.control('POST', '/faults', {
    faults: [{ kind: 'slow', path: '/v2/sleep', times: 1, delay_ms: 12_000 }],
  })
  const client = createClient()
  const end = client
    .post({
      ...{ url: `${gateway.url}/p/withings/v2/sleep`, bearer, body: 'marker=late' },
      contentType: 'application/x-www-form-urlencoded',
    })
    .then(({ status }) => `read to its end: ${status}`)
    .catch(() => 'broke off')
    .finally(client.close)
  await until('the late call arrived', async () => {
    await witness.look()
    return witness.received.some(({ marker }) => marker === 'late')
  })
  return { end }
}

/** The exchange, a change by an operator; and what needs no record goes on. */
async function refusesWhatMustBeRecorded(serviceToken: string): Promise<void> {
  const refused = await exchange(gateway.url, serviceToken)
  assert.equal(codeOf(refused), '503 audit_unavailable')
  assert.ok(refused.headers.has('retry-after'))
  const admin = await gateway.admin('POST', '/agents', { name: 'none', grants: [] })
  assert.deepEqual([admin.status, admin.body.error], [503, 'audit_unavailable'])
  assert.equal((await gateway.admin('GET', '/audit?limit=10')).status, 200)
  assert.deepEqual([await get('/healthz'), await get('/readyz')], [200, 503])
}

test(
  'on a full disk everything is refused, nothing is forwarded, and all is well again within 5 s (P3)',
  patient,
  async (t) => {
    const random = createRandom(48)
    const [first = '', ...others] = serviceTokens
    const load = startLoad({ urls: [gateway.url], serviceTokens: others, workers: 4, random })
    t.after(() => load.stop())
    const token = await tokenOf(await exchange(gateway.url, first))
    await load.answered(100)

    const late = await beginLate(token)
    const before = load.answers.length
    disk.fill()
    await until('a call is refused', async () => load.answers.some(isUnavailable))
    const firstRefusal = load.answers.findIndex(isUnavailable)
    const strange = load.answers.filter(({ code }) => code !== null && code !== 'audit_unavailable')
    assert.deepEqual(strange, [], 'before the first failed write nothing was refused')

    // What the last checkpoint left over is used up, too.
    disk.fill()
    await load.answered(50)
    await witness.look()
    const reached = witness.received.length
    const refused = load.answers.length
    await load.answered(100)
    await witness.look()
    assert.equal(witness.received.length, reached, 'nothing reaches the provider')
    assert.ok(load.answers.slice(refused).every(isUnavailable))

    await refusesWhatMustBeRecorded(first)
    assert.equal(await late.end, 'broke off', 'an answer whose outcome cannot be written is cut')

    disk.free()
    const freed = Date.now()
    await until(
      'service is back within 5 s of space',
      async () => load.answers.at(-1)?.code === null && (await get('/readyz')) === 200,
      5_000,
    )
    const backMs = Date.now() - freed
    await load.answered(100)
    await load.stop()
    assert.equal((await gateway.admin('GET', '/agents/none')).status, 404)

    const { complaints, evidence } = await settle({ admin: gateway.admin }, { witness, load })
    assert.deepEqual(complaints.slice(0, 20), [])
    const cut = evidence.records.filter(({ error }) => error === 'cut')
    assert.ok(cut.length > 0, 'what was cut is on record')
    t.diagnostic(
      `${firstRefusal - before} answers after the disk was full, ${cut.length} cut, ` +
        `${evidence.records.length} records, back after ${backMs} ms`,
    )
  },
)

test(
  'a start on a full disk is one clear line, and works when there is space',
  patient,
  async () => {
    await gateway.kill('SIGKILL')
    disk.fill()
    const port = new URL(gateway.url).port
    const refused = await start(port).catch((error: Error) => error.message)
    assert.match(String(refused), /okoro\.db can't be used: database or disk is full/)
    assert.doesNotMatch(String(refused), /\n\s+at /)
    disk.free()
    gateway = await start(port)
    assert.equal(await get('/readyz'), 200)
    assert.match(await newAgent(gateway, 'later'), /^svc_/)
  },
)

test(
  'a log file on a full disk fails no request, and goes on when there is space',
  patient,
  async (t) => {
    const file = `${disk.path}/log`
    const root = fileURLToPath(new URL('../..', import.meta.url))
    const child = spawn(process.execPath, ['packages/gateway/src/main.ts', 'serve', '--json'], {
      ...{ cwd: root, stdio: ['ignore', 'pipe', openSync(file, 'a')] },
      env: { OKORO_DATA_DIR: `${place.path}/other`, OKORO_PORT: '0', OKORO_ADMIN_PORT: '0' },
    })
    t.after(() => child.kill('SIGKILL'))
    let output = ''
    child.stdout?.on('data', (chunk) => {
      output += chunk
    })
    const urlIn = () => /"public_url": "([^"]+)"/.exec(output)?.[1] ?? ''
    await until('it serves', () => urlIn() !== '')
    disk.fill()
    // Each refusal is a line, and the last page of the file has room for some of them.
    for (let count = 0; count < 200; count += 1) {
      assert.equal((await exchange(urlIn(), 'svc_unknown')).status, 401)
    }
    const full = statSync(file).size
    disk.free()
    assert.equal((await exchange(urlIn(), 'svc_unknown')).status, 401)
    assert.ok(statSync(file).size > full + 10_000, 'what waited is in the file')
  },
)

const isUnavailable = ({ code }: { readonly code: string | null }) => code === 'audit_unavailable'

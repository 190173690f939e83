import assert from 'node:assert/strict'
import { cpSync, rmSync } from 'node:fs'
import { after, before, test } from 'node:test'
import {
  folder,
  type GatewayProcess,
  type SandboxProcess,
  startGateway,
  startSandbox,
} from '../gateway.ts'
import { compare } from './compare.ts'
import { startLoad } from './load.ts'
import { createRandom } from './random.ts'
import { isLong, patient, seed } from './run.ts'
import { cast, createWitness, exportLog, loadEnv, settle, type Witness } from './stage.ts'

/** One data folder, and what may become of it. */

const moments = isLong ? 40 : 4

const place = folder()
const data = `${place.path}/data`
let sandbox: SandboxProcess
let gateway: GatewayProcess
let witness: Witness
let serviceTokens: readonly string[] = []

const start = (dataDir: string, port = '0', signal?: AbortSignal) => {
  const env = { ...loadEnv, OKORO_SANDBOX: `withings=${sandbox.found.url}`, OKORO_PORT: port }
  return startGateway(dataDir, env, signal)
}

before(async () => {
  sandbox = await startSandbox(`${place.path}/sandbox`)
  gateway = await start(data)
  serviceTokens = await cast({ ...gateway, sandbox }, 2)
  witness = createWitness(sandbox)
})
after(async () => {
  await gateway?.kill('SIGKILL')
  await sandbox?.kill()
  place.remove()
})

test(
  `killed at ${moments} moments of its first start, a gateway leaves a folder that the next start takes (P9)`,
  patient,
  async (t) => {
    t.diagnostic(`OKORO_TEST_SEED=${seed}`)
    const random = createRandom(seed)
    for (let moment = 0; moment < moments; moment += 1) {
      const fresh = `${place.path}/fresh-${moment}`
      const delayMs = 300 + random(1_500)
      const killing = AbortSignal.timeout(delayMs)
      const first = await start(fresh, '0', killing).catch(() => null)
      await first?.ended
      const second = await start(fresh).catch((error: Error) => error.message)
      assert.ok(typeof second === 'object', `killed after ${delayMs} ms: ${second}`)
      const records = await exportLog(second.admin)
      assert.deepEqual(compare({ answers: [], issued: [], received: [], records }), [])
      assert.equal(await second.kill('SIGTERM'), 0)
    }
  },
)

test(
  'the folder of a killed gateway can be copied, and the copy knows all (P9)',
  patient,
  async (t) => {
    const load = startLoad({
      ...{ urls: [gateway.url], serviceTokens, workers: 4, random: createRandom(9) },
    })
    t.after(() => load.stop())
    await load.answered(80)
    await gateway.kill('SIGKILL')
    await load.stop()
    await witness.look()
    cpSync(data, `${place.path}/copy`, {
      recursive: true,
      filter: (path) => !path.endsWith('.sock'),
    })
    const copy = await start(`${place.path}/copy`)
    t.after(() => copy.kill('SIGKILL'))
    const { answers, issued } = load
    const records = await exportLog(copy.admin)
    assert.deepEqual(compare({ answers, issued, received: witness.received, records }), [])
  },
)

test(
  'of gateways that start at once on one folder one serves, and the others say why',
  patient,
  async () => {
    rmSync(`${place.path}/copy`, { recursive: true, force: true })
    const starts = Array.from({ length: 4 }, () =>
      start(data).catch((error: Error) => error.message),
    )
    const ends = await Promise.all(starts)
    const running = ends.filter((end) => typeof end !== 'string')
    const refused = ends.filter((end) => typeof end === 'string')
    assert.equal(running.length, 1, refused.join('\n'))
    for (const message of refused)
      assert.match(message, /ended with 1: okoro: Another okoro is using/)
    gateway = running[0] as GatewayProcess
  },
)

test(
  'a gateway that is still closing keeps its folder, and the next one gets all of it',
  patient,
  async (t) => {
    const load = startLoad({
      ...{ urls: [gateway.url], serviceTokens, workers: 4, random: createRandom(10) },
    })
    t.after(() => load.stop())
    await load.answered(60)
    const port = new URL(gateway.url).port
    const ending = gateway.kill('SIGTERM')
    const refusals: string[] = []
    for (let next: GatewayProcess | string = ''; typeof next === 'string'; ) {
      next = await start(data, port).catch((error: Error) => error.message)
      if (typeof next === 'string') refusals.push(next)
      else gateway = next
    }
    assert.equal(await ending, 0)
    for (const refusal of refusals) assert.match(refusal, /Another okoro is using/)
    await load.answered(40)
    await load.stop()
    const { complaints } = await settle(gateway, { witness, load })
    assert.deepEqual(complaints.slice(0, 20), [])
  },
)

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { forEachHome, type Home } from '../homes.ts'
import { startLoad } from './load.ts'
import { createRandom } from './random.ts'
import { isLong, patient, seed } from './run.ts'
import { cast, createWitness, loadEnv, settle } from './stage.ts'

const kills = isLong ? 30 : 3

forEachHome(
  (home) => {
    let serviceTokens: readonly string[] = []
    before(async () => {
      serviceTokens = await cast(home, 3)
    })

    test(
      `kill -9 × ${kills} under load: nothing sent or answered is missing in the log (P1, P2, P9)`,
      patient,
      async (t) => {
        t.diagnostic(`OKORO_TEST_SEED=${seed}`)
        const random = createRandom(seed)
        const urls = home.nodes.map(({ url }) => url)
        const witness = createWitness(home.sandbox)
        const load = startLoad({ urls, serviceTokens, workers: 4, random })
        const recoveryMs: number[] = []
        try {
          for (let kill = 0; kill < kills; kill += 1) {
            await load.answered(20 + random(60))
            await sleep(random(60))
            recoveryMs.push(await killOne(home, random(home.nodes.length)))
            await witness.look()
          }
          await load.answered(50)
        } finally {
          await load.stop()
        }
        const { complaints, evidence } = await settle(home, { witness, load })
        const crashed = evidence.records.filter(({ error }) => error === 'crashed').length
        t.diagnostic(
          `${kills} kills, ${load.begun()} calls, ${evidence.received.length} received, ` +
            `${evidence.answers.length} read to the end, ${evidence.records.length} records, ` +
            `${crashed} closed as crashed, back after ${recoveryMs.join(' ')} ms`,
        )
        assert.deepEqual(complaints.slice(0, 20), [], `OKORO_TEST_SEED=${seed}`)
        assert.ok(crashed > 0 && load.begun() > evidence.answers.length, 'nothing was cut off')
      },
    )
  },
  { env: loadEnv },
)

/** Milliseconds from the kill until the next run serves. */
async function killOne(home: Home, index: number): Promise<number> {
  const node = home.nodes[index] ?? home.nodes[0]
  const killed = Date.now()
  await node.kill('SIGKILL')
  await node.start()
  return Date.now() - killed
}

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { exchange, tokenOf } from '../gateway.ts'
import { forEachHome } from '../homes.ts'
import { createClient } from './call.ts'
import { type Load, startLoad } from './load.ts'
import { createRandom } from './random.ts'
import { patient } from './run.ts'
import { cast, createWitness, loadEnv, settle, until, type Witness } from './stage.ts'

forEachHome(
  (home) => {
    let serviceTokens: readonly string[] = []
    let witness: Witness
    before(async () => {
      serviceTokens = await cast(home, 3)
      witness = createWitness(home.sandbox)
    })

    const begin = () => {
      const urls = home.nodes.map(({ url }) => url)
      return startLoad({ urls, serviceTokens, workers: 4, random: createRandom(15) })
    }
    const compared = async (load: Load) => {
      await load.stop()
      return await settle(home, { witness, load })
    }

    test(
      'stopped for a while under load, a gateway goes on where it was (P1, P2)',
      patient,
      async (t) => {
        const load = begin()
        t.after(() => load.stop())
        const [node] = home.nodes
        for (let round = 0; round < 3; round += 1) {
          await load.answered(40)
          node.pause()
          await sleep(700)
          node.resume()
        }
        await load.answered(40)
        const { complaints } = await compared(load)
        assert.deepEqual(complaints.slice(0, 20), [])
      },
    )

    test(
      'SIGTERM under load: calls under way finish, all is on record, and the exit code is 0',
      patient,
      async (t) => {
        const load = begin()
        t.after(() => load.stop())
        const [node] = home.nodes
        await load.answered(60)
        await home.sandbox.control('POST', '/faults', {
          faults: [{ kind: 'slow', path: '/v2/sleep', times: 1, delay_ms: 2_000 }],
        })
        const client = createClient()
        t.after(() => client.close())
        const [serviceToken = ''] = serviceTokens
        const slow = client.post({
          ...{ url: `${node.url}/p/withings/v2/sleep`, body: 'marker=slow' },
          bearer: await tokenOf(await exchange(node.url, serviceToken)),
          contentType: 'application/x-www-form-urlencoded',
        })
        await until('the slow call arrived', async () => {
          await witness.look()
          return witness.received.some(({ marker }) => marker === 'slow')
        })
        assert.equal(await node.kill('SIGTERM'), 0)
        assert.equal((await slow).status, 200)
        await node.start()
        await load.answered(40)
        const { complaints, evidence } = await compared(load)
        assert.deepEqual(complaints.slice(0, 20), [])
        const errors = evidence.records.flatMap(({ error }) => error ?? [])
        assert.deepEqual(errors, [], 'every call that was sent was answered whole')
      },
    )
  },
  { env: loadEnv },
)

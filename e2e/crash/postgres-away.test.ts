import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { exchange } from '../gateway.ts'
import { createHome } from '../homes.ts'
import { startLoad } from './load.ts'
import { createRandom } from './random.ts'
import { isLong, patient, seed } from './run.ts'
import { cast, createWitness, loadEnv, settle, until, type Witness } from './stage.ts'

const rounds = isLong ? 10 : 2

describe('PostgreSQL goes away under load, and two nodes wait for it', () => {
  const home = createHome('postgres', { env: loadEnv })
  let serviceTokens: readonly string[] = []
  let witness: Witness
  before(async () => {
    serviceTokens = await cast(home, 3)
    witness = createWitness(home.sandbox)
  })

  for (const [how, signal] of [
    ['stopped', 'SIGINT'],
    ['killed', 'SIGKILL'],
  ] as const) {
    test(
      `${how} × ${rounds}: all is refused, nothing is lost, service is back within 5 s (P1, P2, P3)`,
      patient,
      async (t) => {
        t.diagnostic(`OKORO_TEST_SEED=${seed}`)
        const random = createRandom(seed)
        const [first = ''] = serviceTokens
        const urls = home.nodes.map(({ url }) => url)
        const load = startLoad({ urls, serviceTokens, workers: 4, random })
        t.after(() => load.stop())
        const backMs: number[] = []
        for (let round = 0; round < rounds; round += 1) {
          await load.answered(40 + random(40))
          await home.postgres.halt(signal)
          await until('a call is refused', () => isRefused(load.answers.at(-1)))
          await witness.look()
          const reached = witness.received.length
          await load.answered(30)
          await sleep(random(300))
          await witness.look()
          assert.equal(witness.received.length, reached, 'nothing reaches the provider')
          for (const url of urls) {
            assert.equal((await exchange(url, first)).status, 503)
            assert.equal((await fetch(`${url}/readyz`)).status, 503)
            assert.equal((await fetch(`${url}/healthz`)).status, 200)
          }
          await home.postgres.start()
          const returned = Date.now()
          for (const url of urls) {
            const isBack = async () =>
              (await exchange(url, first)).status === 200 &&
              (await fetch(`${url}/readyz`)).status === 200
            await until(`${url} is back within 5 s`, isBack, 5_000)
          }
          backMs.push(Date.now() - returned)
        }
        await load.answered(60)
        await load.stop()
        const { complaints, evidence } = await settle(home, { witness, load })
        t.diagnostic(
          `${load.begun()} calls, ${evidence.received.length} received, ${evidence.records.length} ` +
            `records, back after ${backMs.join(' ')} ms`,
        )
        assert.deepEqual(complaints.slice(0, 20), [], `OKORO_TEST_SEED=${seed}`)
      },
    )
  }
})

const isRefused = (answer: { readonly code: string | null } | undefined): boolean =>
  answer?.code === 'audit_unavailable' || answer?.code === 'store_unavailable'

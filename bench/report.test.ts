import assert from 'node:assert/strict'
import { test } from 'node:test'
import { spread, summarize } from './report.ts'
import type { Sample } from './sample.ts'

const sample = (some: Partial<Sample> & Pick<Sample, 'peer' | 'round'>): Sample => ({
  ...{ connections: 1, requests: 100, failed: 0, seconds: 2, p50Us: 100, p99Us: 200 },
  ...{ cpuUs: null, rssMib: null, loop: null, ...some },
})
const peers = [{ name: 'direct' }, { name: 'bare node' }, { name: 'okoro' }]

test('the middle of an even number lies between two', () => {
  assert.deepEqual(spread([4, 1, 3, 2]), { median: 2.5, low: 1, high: 4 })
  assert.deepEqual(spread([null, 7, null]), { median: 7, low: 7, high: 7 })
  assert.equal(spread([null]), null)
})

test('a peer is compared with bare node and direct in the same round, never across rounds', () => {
  const samples = [1, 2, 3].flatMap((round) => [
    sample({ peer: 'okoro', round, cpuUs: 200 * round, p50Us: 500 + 100 * round }),
    sample({ peer: 'direct', round, p50Us: 100 * round }),
    sample({ peer: 'bare node', round, cpuUs: 100 * round }),
  ])
  const [direct, bare, okoro] = summarize(samples, peers)
  assert.deepEqual(
    [direct?.peer, bare?.peer, okoro?.peer],
    peers.map(({ name }) => name),
  )
  assert.deepEqual(okoro?.ofBare, { median: 0.5, low: 0.5, high: 0.5 })
  assert.deepEqual(okoro?.addedP50Us, { median: 500, low: 500, high: 500 })
  assert.equal(okoro?.requestsPerSecond.median, 50)
  assert.equal(direct?.cpuUs, null)
})

test('concurrencies are kept apart', () => {
  const samples = [32, 1].map((connections) =>
    sample({ peer: 'bare node', round: 1, connections, cpuUs: connections }),
  )
  const reports = summarize(samples, peers)
  assert.deepEqual(
    reports.map(({ connections, cpuUs }) => [connections, cpuUs?.median]),
    [
      [1, 1],
      [32, 32],
    ],
  )
})

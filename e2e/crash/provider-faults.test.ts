import assert from 'node:assert/strict'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { before, describe, test } from 'node:test'
import { exchange, tokenOf } from '../gateway.ts'
import { createHome } from '../homes.ts'
import { createClient } from './call.ts'
import type { RecordLine } from './evidence.ts'
import { answerOf, startLoad } from './load.ts'
import { createRandom } from './random.ts'
import { patient } from './run.ts'
import { cast, createWitness, loadEnv, settle, until } from './stage.ts'

/** What a provider can do to a gateway, among calls that it answers as it should. */

const faults = [
  { kind: 'reset' },
  { kind: 'reset_midway' },
  { kind: 'garbage' },
  { kind: 'slow', delay_ms: 300 },
  { kind: 'http', status: 503, body: 'try later' },
  { kind: 'http', status: 302, headers: { location: 'http://169.254.169.254/' } },
  { kind: 'envelope', status: 522 },
  { kind: 'reset', after_effect: true },
]

describe('a provider that fails', () => {
  const home = createHome('sqlite', { env: { ...loadEnv, OKORO_AGENT_CONCURRENCY: '8' } })
  let serviceTokens: readonly string[] = []
  before(async () => {
    serviceTokens = await cast(home, 3)
  })

  test(
    'under a load of faults the log tells the truth, and afterwards all is as before',
    patient,
    async (t) => {
      const random = createRandom(500)
      const witness = createWitness(home.sandbox)
      const [node] = home.nodes
      const [own = '', ...others] = serviceTokens
      const load = startLoad({ urls: [node.url], serviceTokens: others, workers: 4, random })
      t.after(() => load.stop())
      await load.answered(50)
      for (let round = 0; round < 6; round += 1) {
        const times = 1 + random(4)
        await home.sandbox.control('POST', '/faults', {
          faults: faults.map((fault) => ({ ...fault, times })),
        })
        await load.answered(30)
      }
      await home.sandbox.control('DELETE', '/faults')
      await load.stop()
      const { complaints, evidence } = await settle(home, { witness, load })
      assert.deepEqual(complaints.slice(0, 20), [])
      const errors = new Set(evidence.records.map(({ error }) => error ?? null))
      assert.deepEqual([...errors].sort(), [null, 'upstream_invalid'])
      await servesAsBefore(own, home.nodes[0].url)
    },
  )

  test(
    'answers that never come or never end are given up with the agent that waited (P2)',
    patient,
    async (t) => {
      const witness = createWitness(home.sandbox)
      await witness.look()
      const [node] = home.nodes
      const [own = ''] = serviceTokens
      const bearer = await tokenOf(await exchange(node.url, own))
      const open = openSockets(node.pid)
      await home.sandbox.control('POST', '/faults', {
        faults: [
          { kind: 'hang', path: '/v2/user', times: 4 },
          { kind: 'endless', path: '/v2/heart', times: 4, body: 'x'.repeat(65_536) },
        ],
      })
      const leaving = new AbortController()
      const clients = Array.from({ length: 8 }, createClient)
      t.after(() => {
        for (const client of clients) client.close()
      })
      const calls = clients.map((client, index) =>
        client
          .post({
            url: `${node.url}/p/withings/${index % 2 ? 'v2/user' : 'v2/heart'}`,
            ...{ bearer, body: `marker=gone${index}`, signal: leaving.signal },
            contentType: 'application/x-www-form-urlencoded',
          })
          .then(
            () => 'read to its end',
            () => 'given up',
          ),
      )
      const before = witness.received.length
      await until('all eight arrived', async () => {
        await witness.look()
        return witness.received.length === before + 8
      })
      leaving.abort()
      assert.deepEqual(new Set(await Promise.all(calls)), new Set(['given up']))
      const outcomes = async () => {
        const { body } = await home.admin('GET', '/audit?limit=8&order=newest&kind=outcome')
        return (body.items as unknown as RecordLine[]).map(({ error }) => error)
      }
      await until('each has its outcome', async () =>
        (await outcomes()).every((error) => error === 'client_gone'),
      )
      await servesAsBefore(own, node.url)
      await until('no socket is left', () => openSockets(node.pid) <= open + 8)
    },
  )
})

/** As many calls at once as the agent may have under way: a slot that leaked would be missing. */
async function servesAsBefore(serviceToken: string, url: string): Promise<void> {
  const bearer = await tokenOf(await exchange(url, serviceToken))
  for (let round = 0; round < 3; round += 1) {
    const clients = Array.from({ length: 8 }, createClient)
    const calls = clients.map(async (client, index) => {
      const marker = `after${round}${index}`
      const message = await client.post({
        ...{ url: `${url}/p/withings/v2/user`, bearer, body: `marker=${marker}` },
        contentType: 'application/x-www-form-urlencoded',
      })
      client.close()
      return answerOf(message, marker)
    })
    const answers = await Promise.all(calls)
    assert.deepEqual(new Set(answers.map(({ code }) => code)), new Set([null]))
    assert.deepEqual(new Set(answers.map(({ providerStatus }) => providerStatus)), new Set([0]))
  }
}

/** TCP connections of a process, either way. */
function openSockets(pid: number): number {
  const tcp = new Set(
    readFileSync(`/proc/${pid}/net/tcp`, 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/)[9]),
  )
  return readdirSync(`/proc/${pid}/fd`).filter((fd) => {
    const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`))?.[1]
    return inode !== undefined && tcp.has(inode)
  }).length
}

const linkOf = (path: string): string => {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

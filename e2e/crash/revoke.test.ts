import assert from 'node:assert/strict'
import { request } from 'node:http'
import { before, test } from 'node:test'
import { exchange, tokenOf } from '../gateway.ts'
import { forEachHome } from '../homes.ts'
import { patient } from './run.ts'
import { cast, exportLog, until } from './stage.ts'

forEachHome((home) => {
  let serviceToken = ''
  before(async () => {
    const [first = ''] = await cast(home, 1)
    serviceToken = first
  })

  test(
    'a stream that runs on any node is cut within 5 s of the revocation, on record as cut (P8)',
    patient,
    async () => {
      const bearer = await tokenOf(await exchange(home.url, serviceToken))
      await home.sandbox.control('POST', '/faults', {
        faults: [{ kind: 'endless', path: '/v2/heart', body: 'x'.repeat(8_192) }],
      })
      const streams = await Promise.all(home.nodes.map(({ url }) => openStream(url, bearer)))
      await until('each stream flows', () => streams.every(({ bytes }) => bytes() > 100_000))
      const revoked = await home.admin('POST', '/agents/a0/revoke', {})
      assert.equal(revoked.status, 200, JSON.stringify(revoked.body))
      await until('each stream is cut', () => streams.every(({ isCut }) => isCut()), 5_000)
      await until('each has its outcome', async () => {
        const records = await exportLog(home.admin)
        return records.filter(({ error }) => error === 'cut').length === streams.length
      })
    },
  )
})

/** Begins a call whose answer never ends. */
function openStream(url: string, bearer: string) {
  return new Promise<{ bytes(): number; isCut(): boolean }>((resolve, reject) => {
    const headers = { authorization: `Bearer ${bearer}` }
    const sent = request(`${url}/p/withings/v2/heart`, { method: 'POST', headers, agent: false })
    sent.once('error', reject)
    sent.once('response', (response) => {
      let bytes = 0
      let isCut = false
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
      })
      response.on('error', () => {})
      response.once('close', () => {
        isCut = !response.complete
      })
      resolve({ bytes: () => bytes, isCut: () => isCut })
    })
    sent.end()
  })
}

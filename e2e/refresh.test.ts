import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { setTimeout as pass } from 'node:timers/promises'
import { connectWithings, exchange, tokenOf } from './gateway.ts'
import { forEachHome } from './homes.ts'

const calls = 1_000
const patient = { timeout: 240_000 }

forEachHome(
  (home) => {
    let token = ''

    before(async () => {
      await connectWithings(home, home.sandbox)
      const made = await home.admin('POST', '/agents', {
        ...{ name: 'many', grants: [{ provider: 'withings', scope: 'read' }] },
      })
      token = await tokenOf(await exchange(home.url, String(made.body.service_token)))
    })

    const call = async (url = home.url) => {
      const answer = await fetch(`${url}/p/withings/v2/user`, {
        ...{ method: 'POST', headers: { authorization: `Bearer ${token}` } },
      })
      const text = await answer.text()
      return answer.status === 200 ? `200 ${JSON.parse(text).status}` : `${answer.status} ${text}`
    }
    const refreshes = async () => {
      const seen = (await home.sandbox.control('GET', '/received')) as {
        requests: { body: string }[]
      }
      return seen.requests.filter(({ body }) => body.includes('grant_type=refresh_token')).length
    }

    test(
      'a thousand calls at the moment of expiry cost one refresh, and all succeed',
      patient,
      async () => {
        for (const node of home.nodes) assert.equal(await call(node.url), '200 0')
        await home.sandbox.control('POST', '/expire', { tokens: 'access' })
        const answers = await Promise.all(Array.from({ length: calls }, () => call()))
        const tally = Object.entries(Object.groupBy(answers, (answer) => answer))
        assert.deepEqual(
          tally.map(([answer, all]) => [answer, all?.length]),
          [['200 0', calls]],
        )
        assert.equal(await refreshes(), 1)
      },
    )

    if (home.dialect === 'sqlite') return

    test('a refresh whose node died is done by another one', patient, async () => {
      const [first, second] = home.nodes
      assert.ok(second)
      await home.sandbox.control('DELETE', '/received')
      await home.sandbox.control('POST', '/expire', { tokens: 'access' })
      const fault = { kind: 'hang', path: '/v2/oauth2', times: 1 }
      await home.sandbox.control('POST', '/faults', { faults: [fault] })
      const broken = assert.rejects(call(first.url))
      while ((await refreshes()) === 0) await pass(20)
      await first.kill('SIGKILL')
      await broken
      assert.equal(await call(second.url), '200 0')
      assert.equal(await refreshes(), 2)
    })
  },
  {
    env: {
      ...{ OKORO_AGENT_RATE: '100000', OKORO_AGENT_BURST: '100000' },
      OKORO_AGENT_CONCURRENCY: '100000',
    },
  },
)

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { before, test } from 'node:test'
import { WithingsClient } from 'withings-node-oauth2'
import { connectWithings, exchange, startGateway, tokenOf } from './gateway.ts'
import { forEachHome } from './homes.ts'

forEachHome((home) => {
  let serviceToken = ''

  before(async () => {
    await connectWithings(home, home.sandbox)
    const made = await home.admin('POST', '/agents', {
      ...{ name: 'reader', grants: [{ provider: 'withings', scope: 'read' }] },
    })
    assert.equal(made.status, 201, JSON.stringify(made.body))
    serviceToken = String(made.body.service_token)
  })

  const token = async () => await tokenOf(await exchange(home.url, serviceToken))
  const received = async () =>
    ((await home.sandbox.control('GET', '/received')) as { requests: { target: string }[] })
      .requests
  const listed = async () => {
    const { body } = await home.admin('GET', '/audit?limit=100')
    return body.items as unknown as { seq: number; kind: string }[]
  }

  test('an agent reads all six endpoints through okoro', async () => {
    const bearer = await token()
    for (const path of ['measure', 'v2/measure', 'v2/sleep', 'v2/heart', 'v2/user', 'v2/notify']) {
      const response = await fetch(`${home.url}/p/withings/${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
        body: '{}',
      })
      const answer = (await response.json()) as { status: number; body: object }
      assert.equal(answer.status, 0, `${path}: ${JSON.stringify(answer).slice(0, 200)}`)
      assert.ok(Object.keys(answer.body).length > 0)
    }
  })

  test('withings-node-oauth2, which nobody here wrote, reads through okoro', async () => {
    const toGateway: typeof fetch = (input, init) => {
      const { pathname, search } = new URL(input instanceof Request ? input.url : input)
      return fetch(`${home.url}/p/withings${pathname}${search}`, init)
    }
    const client = new WithingsClient({
      ...{ clientId: 'unused', clientSecret: 'unused', callbackURL: 'http://localhost' },
      fetch: toGateway,
    })
    const session = { accessToken: await token() }
    const lastMonth = new Date(Date.now() - 30 * 86_400_000)
    const period = { startDate: lastMonth, endDate: new Date() }
    const read = await readAll(client, session, period)
    for (const [what, list] of Object.entries(read)) {
      assert.ok(list.length > 0, `${what}: ${JSON.stringify(read).slice(0, 300)}`)
    }
  })

  test('a read token cannot unlink a device or revoke a subscription, and nothing arrives', async () => {
    const bearer = await token()
    await home.sandbox.control('DELETE', '/received')
    const calls = [
      { path: 'v2/user', method: 'POST', body: 'action=unlink&mac_address=00:24:e4:00:00:00' },
      { path: 'v2/notify?action=revoke&callbackurl=https://a.example/x&appli=1', method: 'GET' },
    ]
    for (const { path, method, body } of calls) {
      const response = await fetch(`${home.url}/p/withings/${path}`, {
        method,
        headers: {
          authorization: `Bearer ${bearer}`,
          ...(body && { 'content-type': 'application/x-www-form-urlencoded' }),
        },
        ...(body && { body }),
      })
      const problem = (await response.json()) as Record<string, unknown>
      assert.equal(response.status, 403)
      assert.equal(problem.required_scope, 'delete')
    }
    assert.deepEqual(await received(), [])
  })

  test('a scope above the grant, a blank and an endless intent are refused at the exchange', async () => {
    const ask = { provider: 'withings', scope: 'read', intent: 'see the trend' }
    const refused = async (change: object) => {
      const response = await exchange(home.url, serviceToken, { ...ask, ...change })
      return [response.status, response.headers.get('okoro-error')]
    }
    assert.deepEqual(await refused({ scope: 'delete' }), [403, 'insufficient_scope'])
    assert.deepEqual(await refused({ intent: '   ' }), [400, 'invalid_request'])
    assert.deepEqual(await refused({ intent: 'x'.repeat(10_000) }), [400, 'invalid_request'])
    assert.deepEqual(await refused({ provider: 'nobody' }), [404, 'unknown_provider'])
  })

  test('no secret of any kind stands in the database, the log or the export', async () => {
    const bearer = await token()
    await fetch(`${home.url}/p/withings/measure`, {
      ...{ method: 'POST', headers: { authorization: `Bearer ${bearer}` } },
    })
    const contents = await home.contents()
    const tokens: string[] = []
    const seen = (await home.sandbox.control('GET', '/received')) as {
      requests: { headers: [string, string][] }[]
    }
    for (const { headers } of seen.requests) {
      for (const [name, value] of headers) {
        if (name.toLowerCase() === 'authorization') tokens.push(value.slice('Bearer '.length))
      }
    }
    assert.ok(tokens.length > 0)
    const secrets = [serviceToken, bearer, 'e2e-secret-of-the-application', ...tokens]
    assert.ok(contents.length > 10_000)
    for (const secret of secrets) {
      assert.ok(!contents.includes(secret), 'a secret lies in the database')
      assert.ok(!home.log().includes(secret), 'a secret stands in the log')
    }
  })

  test('after a kill -9 the gateway goes on with the same connection and tokens', async () => {
    const bearer = await token()
    for (const node of home.nodes) {
      await node.kill('SIGKILL')
      await node.start()
      const response = await fetch(`${node.url}/p/withings/v2/user`, {
        method: 'POST',
        headers: { authorization: `Bearer ${bearer}` },
      })
      assert.equal(((await response.json()) as { status: number }).status, 0)
    }
  })

  test('a second gateway on the same folder ends with one clear line', async () => {
    const second = await startGateway(home.nodes[0].dataDir).catch((error: Error) => error)
    assert.ok(second instanceof Error)
    assert.match(second.message, /Another okoro is using/)
    assert.doesNotMatch(second.message, /\n\s+at /)
  })

  test('a grant can be taken away over the unix socket, and nothing is left to call', async () => {
    const made = await home.admin('POST', '/agents', {
      ...{ name: 'passing', grants: [{ provider: 'withings', scope: 'read' }] },
    })
    const shown = await home.admin('GET', '/agents/passing')
    const [grant] = shown.body.grants as unknown as { id: string }[]
    const taken = await home.admin('DELETE', `/agents/passing/grants/${grant?.id}`)
    assert.equal(taken.status, 200, JSON.stringify(taken.body))
    const refused = await exchange(home.url, String(made.body.service_token))
    assert.equal(refused.headers.get('okoro-error'), 'provider_not_granted')
  })

  test('a reader that has seen enough ends a command without a complaint', () => {
    const okoro = 'packages/gateway/bin/okoro'
    const { stdout, stderr } = spawnSync('bash', ['-c', `${okoro} audit export | head -1`], {
      ...{ cwd: new URL('..', import.meta.url), encoding: 'utf8' },
      env: { ...process.env, OKORO_DATA_DIR: home.nodes[0].dataDir },
    })
    assert.equal(JSON.parse(stdout).kind, 'key.created')
    assert.equal(stderr, '')
  })

  test('a revoked agent is refused at the exchange and at its next call', async () => {
    const bearer = await token()
    const revoked = await home.admin('POST', '/agents/reader/revoke', {})
    assert.equal(revoked.status, 200, JSON.stringify(revoked.body))
    await home.sandbox.control('DELETE', '/received')
    assert.equal((await exchange(home.url, serviceToken)).status, 401)
    const response = await fetch(`${home.url}/p/withings/measure`, {
      ...{ method: 'POST', headers: { authorization: `Bearer ${bearer}` } },
    })
    assert.equal(response.status, 401)
    assert.deepEqual(await received(), [])
  })

  test('every record gets its place in the log within a second, without a gap', async () => {
    const isRevoked = ({ kind }: { kind: string }) => kind === 'agent.revoked'
    for (let left = 50; left > 0 && !(await listed()).some(isRevoked); left -= 1) {
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    const records = (await listed()).toSorted((one, other) => one.seq - other.seq)
    assert.ok(records.some(isRevoked), JSON.stringify(records).slice(0, 300))
    assert.deepEqual(
      records.map(({ seq }) => seq),
      records.map((_, index) => index),
    )
  })
})

async function readAll(
  client: WithingsClient,
  session: { readonly accessToken: string },
  period: { readonly startDate: Date; readonly endDate: Date },
): Promise<Readonly<Record<string, readonly unknown[]>>> {
  const days = { startDate: day(period.startDate), endDate: day(period.endDate) }
  const measures = await client.measures.list({ ...session, ...period })
  const activity = await client.activity.daily({ ...session, ...days })
  const sleep = await client.sleep.summary({ ...session, ...days })
  const heart = await client.heart.list({ ...session })
  const devices = await client.devices.list({ ...session })
  return {
    measures: measures.measuregrps,
    activity: activity.activities,
    sleep: sleep.series,
    heart: heart.series,
    devices: devices.devices,
  }
}

const day = (date: Date) => date.toISOString().slice(0, 10)

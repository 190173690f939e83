import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectWithings, exchange, tokenOf } from './gateway.ts'
import { forEachHome, type Home, type HomeNode } from './homes.ts'

/** An application's limit, over all nodes, as the provider sees it. */

const names = ['first', 'second'] as const
type Name = (typeof names)[number]

forEachHome((home) => {
  let tokens: Readonly<Record<Name, string>>
  let application = ''

  before(async () => {
    await connectWithings(home, home.sandbox)
    const { items } = (await home.admin('GET', '/applications')).body
    application = (items as unknown as readonly { id: string }[])[0]?.id ?? ''
    const [first, second] = await Promise.all(names.map((name) => tokenFor(home, name)))
    tokens = { first: first ?? '', second: second ?? '' }
  })

  const setLimit = async (limit: object | string) => {
    const { status } = await home.admin('PUT', `/applications/${application}/limit`, { limit })
    assert.equal(status, 200)
    await home.sandbox.control('DELETE', '/received')
  }

  /** Says by a parameter who called: the provider sees no agent. */
  const call = async (node: HomeNode, name: Name, index: number): Promise<Response | null> => {
    const authorization = `Bearer ${tokens[name]}`
    const body = new URLSearchParams({ lastupdate: `${names.indexOf(name) + 1}${index}` })
    const init = { method: 'POST', headers: { authorization }, body }
    return await fetch(`${node.url}/p/withings/measure`, init).catch(() => null)
  }

  test('a provider that is as strict as it says never has to say: too many', async () => {
    await setLimit({ requests: 30, seconds: 60 })
    await home.sandbox.control('POST', '/clock', { advance_seconds: 61 })
    await home.sandbox.control('POST', '/limits', { requests_per_minute: 30 })
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, index) =>
        Promise.all(
          home.nodes.map((node) => call(node, index % 2 ? 'first' : 'second', 90_000 + index)),
        ),
      ),
    )
    const read = answers.flat().map(async (answer) => [answer?.status, await statusIn(answer)])
    const seen = new Set((await Promise.all(read)).map((each) => JSON.stringify(each)))
    assert.deepEqual([...seen].sort(), ['[200,0]', '[429,null]'])
    assert.ok((await callsAt(home)).length <= 30)
    await home.sandbox.control('POST', '/limits', { requests_per_minute: null })
  })

  test('agents that loop on every node share the limit, and a kill -9 forgets nothing', async () => {
    const limit = { requests: 40, seconds: 5 }
    await setLimit(limit)
    let isOver = false
    const loop = async (name: Name, node: HomeNode) => {
      for (let index = 0; !isOver; index += 1) {
        const answer = await call(node, name, index)
        // The kill cuts what is under way.
        await answer?.arrayBuffer().catch(() => null)
        await sleep(answer?.status === 200 ? 5 : 50)
      }
    }
    const loops = names.flatMap((name) => home.nodes.map((node) => loop(name, node)))
    await sleep(7_000)
    const [node] = home.nodes
    await node.kill('SIGKILL')
    await node.start()
    await sleep(20_000)
    isOver = true
    await Promise.all(loops)
    const calls = await callsAt(home)
    const most = Math.max(...calls.map(({ at }) => within(calls, at, limit.seconds)))
    assert.ok(most <= limit.requests, `${most} calls in a window`)
    // 27 s hold more than three windows, each with the way there and back around it.
    assert.ok(calls.length >= 2 * limit.requests, `only ${calls.length} calls`)
    const ofFirst = calls.filter(({ name }) => name === 'first').length / calls.length
    assert.ok(ofFirst > 0.35 && ofFirst < 0.65, `the first had ${ofFirst} of ${calls.length}`)
  })

  test('when the provider says too many, every node waits as long as it said', async () => {
    await setLimit('none')
    await home.sandbox.control('POST', '/faults', {
      faults: [{ ...tooMany, body: '{"wait_seconds":40}' }],
    })
    const [node] = home.nodes
    // What a node remembers of the old limit it believes for a second.
    const told = await until(async () => {
      const answer = await call(node, 'first', 1)
      return answer?.status === 200 ? answer : null
    })
    assert.equal(told.headers.get('retry-after'), '40')
    assert.equal(await statusIn(told), 601)
    for (const each of home.nodes) {
      // A node that has just called looks again after two seconds at the latest.
      const refused = await until(async () => {
        const answer = await call(each, 'second', 2)
        return answer?.status === 429 ? answer : null
      })
      const problem = (await refused.json()) as Record<string, unknown>
      assert.equal(problem.limit, 'provider')
      const wait = Number(refused.headers.get('retry-after'))
      assert.ok(wait > 20 && wait <= 41, `${wait}`)
    }
  })
})

const tooMany = { kind: 'envelope', status: 601, error: 'Too Many Requests', times: 1 }

async function tokenFor(home: Home, name: Name): Promise<string> {
  const grants = [{ provider: 'withings', scope: 'read' }]
  const made = await home.admin('POST', '/agents', { name, grants })
  return await tokenOf(await exchange(home.url, String(made.body.service_token)))
}

/** The provider's own status, where the answer is the provider's. */
const statusIn = async (answer: Response | null) =>
  answer === null ? null : ((await answer.json()) as { status?: number }).status

type Call = { readonly at: number; readonly name: Name }

/** The calls that the provider has seen, in order. */
async function callsAt({ sandbox }: Home): Promise<readonly Call[]> {
  const { requests } = (await sandbox.control('GET', '/received')) as {
    requests: readonly { at: string; target: string; body: string }[]
  }
  return requests
    .filter(({ target }) => target === '/measure')
    .map(({ at, body }) => ({
      at: Date.parse(at),
      name: new URLSearchParams(body).get('lastupdate')?.startsWith('1') ? 'first' : 'second',
    }))
}

const within = (calls: readonly Call[], from: number, seconds: number): number =>
  calls.filter(({ at }) => at >= from && at < from + seconds * 1_000).length

async function until<Value>(read: () => Promise<Value | null>): Promise<Value> {
  for (let left = 200; left > 0; left -= 1) {
    const value = await read()
    if (value !== null) return value
    await sleep(50)
  }
  throw new Error('it never came')
}

import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { setTimeout as pass } from 'node:timers/promises'
import pg from 'pg'
import { connectWithings, exchange, tokenOf } from './gateway.ts'
import { createHome, type HomeNode } from './homes.ts'

/** Two nodes on one PostgreSQL, and what can happen to one of them, or to the database. */

const patient = { timeout: 180_000 }

describe('two nodes on one database', () => {
  const home = createHome('postgres', {
    env: {
      OKORO_AGENT_RATE: '100000',
      OKORO_AGENT_BURST: '100000',
      OKORO_AGENT_CONCURRENCY: '500',
    },
  })
  let database: pg.Client
  let stopLoad = () => {}

  before(async () => {
    database = await connectDatabase()
    await connectWithings(home, home.sandbox)
  })
  after(() => database?.end())
  afterEach(() => stopLoad())

  const connectDatabase = async () => {
    const client = new pg.Client({ connectionString: `${home.postgres.url}/postgres` })
    client.on('error', () => {})
    await client.connect()
    return client
  }
  const rows = async <Row extends pg.QueryResultRow>(sql: string, ...values: unknown[]) =>
    (await database.query<Row>(sql, values)).rows

  const addAgent = async (name: string) => {
    const made = await home.admin('POST', '/agents', {
      ...{ name: name.replaceAll(' ', '-'), grants: [{ provider: 'withings', scope: 'read' }] },
    })
    assert.equal(made.status, 201, JSON.stringify(made.body))
    const serviceToken = String(made.body.service_token)
    return {
      name,
      id: String(made.body.id),
      token: await tokenOf(await exchange(home.url, serviceToken)),
    }
  }
  const call = (node: Pick<HomeNode, 'url'>, token: string, init: RequestInit = {}) =>
    fetch(`${node.url}/p/withings/v2/user`, {
      ...{ method: 'POST', headers: { authorization: `Bearer ${token}` } },
      ...init,
    })
  const received = async () => {
    const seen = (await home.sandbox.control('GET', '/received')) as {
      requests: { target: string }[]
    }
    return seen.requests.filter(({ target }) => target.startsWith('/v2/user')).length
  }
  const faults = (...list: object[]) => home.sandbox.control('POST', '/faults', { faults: list })
  const nodeOfBoot = (holder: string) => {
    const node = home.nodes.find(({ name }) => holder.startsWith(`${name}/`))
    assert.ok(node, holder)
    return node
  }
  const otherThan = (node: HomeNode) => {
    const other = home.nodes.find(({ name }) => name !== node.name)
    assert.ok(other)
    return other
  }
  const holder = async () => {
    const [lease] = await until(async () => {
      const found = await rows<{ holder: string }>(
        `select holder from lease where name = 'sequencer'
         and expires_at > extract(epoch from clock_timestamp()) * 1000`,
      )
      return found.length > 0 ? found : null
    })
    return nodeOfBoot(lease?.holder ?? '')
  }
  const unplaced = async () => {
    const [count] = await rows<{ n: string }>(
      `select count(*) as n from record left join sequence using (workspace_id, node, boot, n)
       where seq is null`,
    )
    return Number(count?.n)
  }
  const everythingIsPlaced = () => until(async () => ((await unplaced()) === 0 ? true : null))

  /** The log as a whole: no gap, nothing double, no attempt with two outcomes. */
  const judgeLog = async () => {
    await everythingIsPlaced()
    const [seqs] = await rows<{ top: string; all: string }>(
      `select max(seq) as top, count(*) as all from sequence`,
    )
    assert.equal(Number(seqs?.top) + 1, Number(seqs?.all))
    const [records] = await rows<{ n: string }>(`select count(*) as n from record`)
    assert.equal(Number(records?.n), Number(seqs?.all))
    const gaps = await rows(
      `select node, boot from record group by node, boot having max(n) + 1 <> count(*)`,
    )
    assert.deepEqual(gaps, [])
    const twice = await rows(
      `select request_id, attempt_no from record where kind = 'outcome'
       group by request_id, attempt_no having count(*) > 1`,
    )
    assert.deepEqual(twice, [])
  }

  /** Calls without end on every node; gives the answers by status. */
  const load = (token: string, wide = 8) => {
    let isOver = false
    stopLoad = () => {
      isOver = true
    }
    const statuses = new Map<string, number>()
    const work = home.nodes.flatMap((node) =>
      Array.from({ length: wide }, async () => {
        while (!isOver) {
          const answer = await call(node, token, { signal: AbortSignal.timeout(60_000) }).catch(
            () => null,
          )
          const body = await answer?.text().catch(() => null)
          const name =
            body == null ? 'broken' : `${answer?.status} ${answer?.headers.get('okoro-error')}`
          statuses.set(name, (statuses.get(name) ?? 0) + 1)
          if (answer === null) await pass(20)
        }
      }),
    )
    return {
      statuses,
      stop: async () => {
        isOver = true
        await Promise.all(work)
      },
    }
  }

  test('after a revocation has returned no attempt starts, on neither node', patient, async () => {
    const agent = await addAgent('revoked under load')
    const attempts = async () => {
      const [count] = await rows<{ n: string }>(
        `select count(*) as n from record where agent = $1 and kind = 'attempt' and opens = 1`,
        agent.id,
      )
      return Number(count?.n)
    }
    await home.sandbox.control('DELETE', '/received')
    const running = load(agent.token)
    await until(async () => ((await attempts()) > 50 ? true : null))
    const revoked = await home.admin('POST', `/agents/${agent.id}/revoke`, {})
    const atReturn = await attempts()
    assert.equal(revoked.status, 200, JSON.stringify(revoked.body))
    await until(async () => ((running.statuses.get('401 invalid_token') ?? 0) > 100 ? true : null))
    await running.stop()
    assert.equal(await attempts(), atReturn)
    // The sandbox keeps its last thousand; what it saw has an attempt from before.
    assert.ok((await received()) <= atReturn)
    await judgeLog()
  })

  test(
    'a node that has nothing to write learns of a revocation, and cuts what is open',
    patient,
    async () => {
      const agent = await addAgent('streaming')
      await faults({ kind: 'endless', path: '/v2/user', times: 2 })
      const streams = await Promise.all(home.nodes.map((node) => call(node, agent.token)))
      const ends = streams.map(async (answer) => {
        assert.equal(answer.status, 200)
        await assert.rejects(answer.text())
        return true
      })
      const [first] = home.nodes
      const revoked = await first.admin('POST', `/agents/${agent.id}/revoke`, {})
      assert.equal(revoked.status, 200)
      assert.deepEqual(await Promise.all(ends), [true, true])
      const outcomes = await until(async () => {
        const found = await rows<{ error: string }>(
          `select o.body::json ->> 'error' as error from record a
         join record o on o.kind = 'outcome' and o.request_id = a.request_id
         where a.agent = $1 and a.kind = 'attempt'`,
          agent.id,
        )
        return found.length === 2 ? found : null
      })
      assert.deepEqual(outcomes, [{ error: 'cut' }, { error: 'cut' }])
    },
  )

  test('a node that cannot look at the policy cuts what is open', patient, async () => {
    const agent = await addAgent('blind')
    await faults({ kind: 'endless', path: '/v2/user', times: 2 })
    const streams = await Promise.all(home.nodes.map((node) => call(node, agent.token)))
    const ends = streams.map((answer) => assert.rejects(answer.text()))
    home.postgres.pause()
    await Promise.all(ends)
    home.postgres.resume()
    await until(async () => ((await call(home, agent.token)).status === 200 ? true : null))
  })

  test(
    'a node stopped while it holds the policy lock does not hold up a revocation',
    patient,
    async () => {
      const agent = await addAgent('held up')
      const running = load(agent.token)
      const [first, second] = home.nodes
      assert.ok(second)
      const [boot] = await rows<{ boot: string }>(
        `select boot from boot where node = $1 and closed_at is null order by started_at desc limit 1`,
        second.name,
      )
      const isHolding = async () => {
        const found = await rows(
          `select 1 from pg_stat_activity join pg_locks using (pid)
         where application_name = $1 and state = 'idle in transaction'
         and locktype = 'advisory' and granted`,
          `okoro writer ${boot?.boot}`,
        )
        return found.length > 0
      }
      await until(async () => {
        second.pause()
        // What it sent before it was stopped gets its answer first.
        await pass(100)
        if (await isHolding()) return true
        second.resume()
        await pass(20)
        return null
      })
      const revoked = await first.admin('POST', `/agents/${agent.id}/revoke`, {})
      assert.equal(revoked.status, 200, JSON.stringify(revoked.body))
      assert.equal(await isHolding(), false)
      second.resume()
      await running.stop()
      assert.equal((await call(second, agent.token)).status, 401)
      await judgeLog()
    },
  )

  test(
    'when the sequencer is stopped another node goes on, and its late work changes nothing',
    patient,
    async () => {
      const agent = await addAgent('sequenced')
      const stopped = await holder()
      const other = otherThan(stopped)
      stopped.pause()
      for (let count = 0; count < 20; count += 1) await call(other, agent.token)
      await everythingIsPlaced()
      assert.equal((await holder()).name, other.name)
      stopped.resume()
      for (const node of [stopped, other, stopped]) {
        assert.equal((await call(node, agent.token)).status, 200)
      }
      await judgeLog()
    },
  )

  test(
    'a node taken for dead has its calls closed once, and ends when it is continued',
    patient,
    async () => {
      const agent = await addAgent('taken for dead')
      const [, dead] = home.nodes
      assert.ok(dead)
      await faults({ kind: 'slow', path: '/v2/user', times: 1, delay_ms: 3_000 })
      const call1 = call(dead, agent.token).then((answer) => answer.text())
      const broken = assert.rejects(call1)
      const open = await until(async () => {
        const found = await rows<{ request_id: string }>(
          `select request_id from record where agent = $1 and opens = 1`,
          agent.id,
        )
        return found.length > 0 ? found : null
      })
      dead.pause()
      const outcome = () =>
        rows<{ error: string }>(
          `select body::json ->> 'error' as error from record
         where kind = 'outcome' and request_id = $1`,
          open[0]?.request_id,
        )
      const closed = await until(async () => {
        const found = await outcome()
        return found.length > 0 ? found : null
      })
      assert.deepEqual(closed, [{ error: 'crashed' }])
      const ended = dead.ended
      dead.resume()
      assert.equal(await ended, 75)
      await broken
      assert.match(dead.log(), /took this one for dead/)
      assert.deepEqual(await outcome(), [{ error: 'crashed' }])
      await dead.start()
      assert.equal((await call(dead, agent.token)).status, 200)
      await judgeLog()
    },
  )

  test('a node that was killed has its calls closed by the other one', patient, async () => {
    const agent = await addAgent('killed')
    const [first, second] = home.nodes
    assert.ok(second)
    await faults({ kind: 'hang', path: '/v2/user', times: 1 })
    const broken = assert.rejects(call(second, agent.token))
    await until(async () => {
      const found = await rows(`select 1 from record where agent = $1 and opens = 1`, agent.id)
      return found.length > 0 ? found : null
    })
    await second.kill('SIGKILL')
    await broken
    const [crashed] = await until(async () => {
      const found = await rows<{ node: string; error: string }>(
        `select o.node, o.body::json ->> 'error' as error from record a
         join record o on o.kind = 'outcome' and o.request_id = a.request_id where a.agent = $1`,
        agent.id,
      )
      return found.length > 0 ? found : null
    })
    assert.deepEqual(crashed, { node: first.name, error: 'crashed' })
    await second.start()
    await judgeLog()
  })

  for (const [what, away, back] of [
    ['is ended', () => home.postgres.halt(), () => home.postgres.start()],
    ['crashes', () => home.postgres.halt('SIGQUIT'), () => home.postgres.start()],
    ['hangs', async () => home.postgres.pause(), async () => home.postgres.resume()],
  ] as const) {
    test(
      `while the database ${what} calls are refused and none is sent; then it goes on`,
      patient,
      async () => {
        const agent = await addAgent(`database ${what}`)
        const running = load(agent.token, 4)
        await until(async () => ((running.statuses.get('200 null') ?? 0) > 50 ? true : null))
        await away()
        const refused = () =>
          [...running.statuses]
            .filter(([status]) => /^503 (audit|store)_unavailable$/.test(status))
            .reduce((sum, [, count]) => sum + count, 0)
        const before = refused()
        await until(async () => (refused() > before ? true : null))
        // What was on its way when it happened has arrived by now.
        await pass(1_000)
        await home.sandbox.control('DELETE', '/received')
        const seen = refused()
        await until(async () => (refused() > seen ? true : null))
        assert.equal(await received(), 0)
        const answered = running.statuses.get('200 null') ?? 0
        await back()
        await until(async () =>
          (running.statuses.get('200 null') ?? 0) > answered + 50 ? true : null,
        )
        await running.stop()
        await database.end().catch(() => {})
        database = await connectDatabase()
        assert.ok(
          home.nodes.every(({ isRunning }) => isRunning),
          home
            .log()
            .replaceAll(/^.*"level":40.*$/gm, '')
            .slice(-4_000),
        )
        // Every attempt gets its outcome from the boot that made it: nobody has to start anew.
        await until(async () => {
          const open = await rows(
            `select 1 from record a where a.opens = 1 and a.agent = $1 and not exists (
             select 1 from record o where o.kind = 'outcome' and o.request_id = a.request_id
               and o.attempt_no = a.attempt_no)`,
            agent.id,
          )
          return open.length === 0 ? true : null
        })
        await judgeLog()
      },
    )
  }
})

async function until<T>(look: () => Promise<T | null>): Promise<T> {
  for (const end = Date.now() + 120_000; Date.now() < end; ) {
    const found = await look()
    if (found !== null) return found
    await pass(50)
  }
  throw new Error('it never came')
}

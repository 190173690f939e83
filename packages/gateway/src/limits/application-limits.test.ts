import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { sql } from 'kysely'
import { compileLimits, limitsFile } from '../catalog/limits.ts'
import type { Provider } from '../catalog/provider.ts'
import { isRefusal, type Refusal } from '../errors.ts'
import { changeApplicationLimit, insertApplication } from '../store/application.ts'
import type { Store } from '../store/store.ts'
import { forEachStore } from '../store/testing.ts'
import { type ApplicationLimits, createApplicationLimits, type Unit } from './application-limits.ts'

const through = (requests: number | null, seconds = 60, id = 'app_1') => {
  const application = requests === null ? undefined : { requests, seconds, source: 'https://a.b' }
  const limits = compileLimits(limitsFile.parse({ application }), true)
  return {
    connection: { id: 'con_1', applicationId: id },
    provider: { name: 'forge', title: 'Forge', limits } as Provider,
  }
}

/** Nodes on one database, whose clock stands still until it is told to go on. */
async function openNodes(store: Store, count: number, others: readonly Store[] = []) {
  await sql`create table simulated (ms bigint not null)`.execute(store.db)
  await sql`insert into simulated values (1000000000)`.execute(store.db)
  let now = 1_000_000_000
  const set = async (ms: number) => {
    now = ms
    const query = sql`update simulated set ms = ${ms}`.compile(store.db)
    await store.write({ statements: [{ query }], records: [] })
  }
  let elapsed = 0
  const advance = async (ms: number) => {
    elapsed += ms
    await set(now + ms)
  }
  const start = (offset: number, own = store) =>
    createApplicationLimits({
      ...{ store: own, random: randomBytes, monotonic: () => elapsed + offset },
      time: sql`(select ms from simulated)`,
    })
  const nodes = Array.from({ length: count }, (_, index) =>
    start(index * 12_345, others[index - 1]),
  )
  return { nodes, start, advance, step: async (ms: number) => set(now + ms), now: () => elapsed }
}

const isUnit = (taken: Unit | Refusal): taken is Unit => !isRefusal(taken)

/** Sends so many calls of an agent at once; how many were let through. */
async function send(limits: ApplicationLimits, where: ReturnType<typeof through>, calls: Calls) {
  const takes = Array.from({ length: calls.count }, () => limits.take(where, calls.agent))
  const taken = await Promise.all(takes)
  return taken.filter((each) => isUnit(each) && limits.spend(each)).length
}
type Calls = { readonly agent: string; readonly count: number }

async function refusalOf(
  limits: ApplicationLimits,
  where: ReturnType<typeof through>,
  agent = 'a',
) {
  const taken = await limits.take(where, agent)
  assert.ok(isRefusal(taken), 'it was let through')
  return taken
}

forEachStore((stores, dialect) => {
  test('two nodes together never let more through than the limit', async () => {
    const store = await stores.open()
    // Two sessions exclude each other otherwise than two writes of one do.
    const others = dialect === 'postgres' ? [await stores.reopen()] : []
    const { nodes, advance } = await openNodes(store, 2, others)
    const where = through(20)
    const sent = await Promise.all(
      nodes.map((node) => send(node, where, { agent: 'a', count: 50 })),
    )
    assert.equal(
      sent.reduce((sum, each) => sum + each),
      18,
    )
    await advance(62_000)
    assert.equal(await send(nodes[0] as ApplicationLimits, where, { agent: 'a', count: 50 }), 0)
    await advance(1_000)
    assert.equal(await send(nodes[1] as ApplicationLimits, where, { agent: 'a', count: 50 }), 18)
  })

  test('who comes while a chunk is drawn uses that chunk, and does not draw another', async () => {
    const store = await stores.open()
    const { nodes } = await openNodes(store, 1)
    const [node] = nodes as [ApplicationLimits]
    const where = through(1_000_000)
    // Drawn are 1, 31, 62 (half of which the third burst finds) and 124.
    for (let burst = 0; burst < 3; burst += 1) {
      assert.equal(await send(node, where, { agent: 'a', count: 32 }), 32)
    }
    const { version } = await store.db
      .selectFrom('call_budget')
      .select('version')
      .executeTakeFirstOrThrow()
    assert.equal(Number(version), 4)
  })

  test('what was spent counts after a crash too', async () => {
    const { nodes, start, advance } = await openNodes(await stores.open(), 1)
    const [node] = nodes as [ApplicationLimits]
    assert.equal(await send(node, through(20), { agent: 'a', count: 10 }), 10)
    const next = start(999)
    assert.equal(await send(next, through(20), { agent: 'a', count: 50 }), 8)
    await advance(63_000)
    assert.equal(await send(next, through(20), { agent: 'a', count: 50 }), 18)
  })

  test('units that nobody spent go back, on the other node too', async () => {
    const { nodes, advance } = await openNodes(await stores.open(), 2)
    const [one, other] = nodes as [ApplicationLimits, ApplicationLimits]
    const where = through(20)
    await Promise.all(Array.from({ length: 18 }, () => one.take(where, 'a')))
    assert.equal((await refusalOf(other, where)).members.limit, 'application')
    await advance(2_000)
    await one.settle()
    assert.equal(await send(other, where, { agent: 'a', count: 50 }), 18)
  })

  test('a unit that comes too late is not spent', async () => {
    const { nodes, advance } = await openNodes(await stores.open(), 1)
    const [node] = nodes as [ApplicationLimits]
    const unit = await node.take(through(20), 'a')
    assert.ok(isUnit(unit))
    await advance(2_000)
    assert.equal(node.spend(unit), false)
  })

  test('a looping agent leaves a newcomer its share, over two nodes', async () => {
    const store = await stores.open()
    const others = dialect === 'postgres' ? [await stores.reopen()] : []
    const { nodes, advance } = await openNodes(store, 2, others)
    const [one, other] = nodes as [ApplicationLimits, ApplicationLimits]
    const where = through(120)
    assert.equal(await send(one, where, { agent: 'loop', count: 500 }), 108)
    assert.equal(await send(other, where, { agent: 'calm', count: 500 }), 12)
    const sent = { loop: 0, calm: 0 }
    for (let second = 0; second < 180; second += 1) {
      await advance(1_000)
      await Promise.all([one.settle(), other.settle()])
      if (second === 120) Object.assign(sent, { loop: 0, calm: 0 })
      sent.loop += await send(one, where, { agent: 'loop', count: 40 })
      sent.calm += await send(other, where, { agent: 'calm', count: 3 })
    }
    assert.ok(sent.calm >= 50 && sent.loop >= 50, JSON.stringify(sent))
  })

  test('a refusal says whose limit it was and when to come again, and then it is right', async () => {
    const { nodes, advance } = await openNodes(await stores.open(), 1)
    const [node] = nodes as [ApplicationLimits]
    const where = through(5)
    assert.equal(await send(node, where, { agent: 'a', count: 9 }), 5)
    await advance(20_000)
    const refusal = await refusalOf(node, where)
    assert.equal(refusal.code, 'rate_limited')
    assert.match(refusal.message, /^5 calls in 60 s, shared by .* application app_1,/)
    const { limit, application, requests, seconds, retry_after_seconds: wait } = refusal.members
    assert.deepEqual([limit, application, requests, seconds], ['application', 'app_1', 5, 60])
    assert.equal(wait, refusal.retryAfterSeconds)
    await advance(Number(wait) * 1_000)
    assert.equal(await send(node, where, { agent: 'a', count: 1 }), 1)
  })

  test('an agent that waits is served before one that has more than its share', async () => {
    const { nodes, advance } = await openNodes(await stores.open(), 2)
    const [one, other] = nodes as [ApplicationLimits, ApplicationLimits]
    const where = through(4)
    for (let count = 0; count < 4; count += 1) {
      assert.equal(await send(one, where, { agent: 'loop', count: 1 }), 1)
      await advance(5_000)
    }
    const wait = (await refusalOf(other, where, 'calm')).retryAfterSeconds ?? 0
    await advance((wait - 1) * 1_000 + 500)
    await send(one, where, { agent: 'loop', count: 1 })
    await advance(500)
    assert.equal(await send(one, where, { agent: 'loop', count: 1 }), 0)
    assert.equal(await send(other, where, { agent: 'calm', count: 1 }), 1)
  })

  test('a pause holds on every node until it ends, and is one record', async () => {
    const store = await stores.open()
    const { nodes, advance } = await openNodes(store, 2)
    const [one, other] = nodes as [ApplicationLimits, ApplicationLimits]
    const where = through(100)
    assert.equal(await send(one, where, { agent: 'a', count: 1 }), 1)
    await Promise.all([one.pause(where, 30), one.pause(where, 30)])
    const refusal = await refusalOf(one, where)
    assert.equal(refusal.members.limit, 'provider')
    assert.equal((await refusalOf(other, where)).members.limit, 'provider')
    await advance(Number(refusal.retryAfterSeconds) * 1_000)
    assert.equal(await send(one, where, { agent: 'a', count: 1 }), 1)
    assert.equal(await send(other, where, { agent: 'a', count: 1 }), 1)
    const records = await store.db.selectFrom('record').select('kind').execute()
    assert.deepEqual(records, [{ kind: 'application.paused' }])
  })

  test('a raised and a lowered limit hold at once, on the other node too', async () => {
    const store = await stores.open()
    const { nodes, advance } = await openNodes(store, 2)
    const [one, other] = nodes as [ApplicationLimits, ApplicationLimits]
    const where = through(5)
    const row = {
      ...{ id: 'app_1', provider: 'forge', client_id: 'c', sealed_secret: '', redirect_uri: '' },
      ...{ sandbox: 0, created_at: 1, limit_requests: null, limit_seconds: null },
    }
    await store.write({ statements: [insertApplication(store.db, row)], records: [] })
    const change = async (requests: number, seconds: number) => {
      const limit = { id: 'app_1', limit_requests: requests, limit_seconds: seconds }
      const statements = [changeApplicationLimit(store.db, limit)]
      await store.write({ statements, records: [], bumpsPolicy: true })
    }
    assert.equal(await send(one, where, { agent: 'a', count: 9 }), 5)
    await change(9, 60)
    assert.equal(await send(one, where, { agent: 'a', count: 9 }), 4)
    await change(200, 60)
    assert.equal(await send(other, where, { agent: 'a', count: 40 }), 40)
    await change(30, 60)
    assert.equal(await send(other, where, { agent: 'a', count: 1 }), 0)
    await change(0, 0)
    assert.equal(await send(other, where, { agent: 'a', count: 500 }), 500)
    await change(30, 60)
    await advance(70_000)
    assert.equal(await send(one, where, { agent: 'a', count: 50 }), 27)
  })

  test('without a limit calls pass, and a pause still holds', async () => {
    const { nodes } = await openNodes(await stores.open(), 2)
    const [one, other] = nodes as [ApplicationLimits, ApplicationLimits]
    assert.equal(await send(one, through(null), { agent: 'a', count: 2_000 }), 2_000)
    await one.pause(through(null), 5)
    assert.equal((await refusalOf(other, through(null))).members.limit, 'provider')
  })

  test('another application is another budget', async () => {
    const { nodes } = await openNodes(await stores.open(), 1)
    const [node] = nodes as [ApplicationLimits]
    assert.equal(await send(node, through(5), { agent: 'a', count: 9 }), 5)
    assert.equal(await send(node, through(5, 60, 'app_2'), { agent: 'a', count: 9 }), 5)
  })

  test('when the database’s clock is set back an hour, a window later all is well again', async () => {
    const { nodes, advance, step } = await openNodes(await stores.open(), 1)
    const [node] = nodes as [ApplicationLimits]
    assert.equal(await send(node, through(5), { agent: 'a', count: 4 }), 4)
    await step(-3_600_000)
    await advance(2_000)
    assert.equal(await send(node, through(5), { agent: 'a', count: 9 }), 1)
    await advance(66_000)
    assert.equal(await send(node, through(5), { agent: 'a', count: 9 }), 5)
  })

  if (dialect === 'sqlite') {
    test('whatever nodes do and however they crash, no window holds more than the limit', async () => {
      await fc.assert(fc.asyncProperty(histories, playedOn(stores.open)), {
        ...{ numRuns: 25, endOnFailure: true },
      })
    })

    test('nor does it on one node when the database’s clock is set forward', async () => {
      const forward = histories.map((events) =>
        events.filter(({ kind }) => kind !== 'crash').map(setForward),
      )
      await fc.assert(fc.asyncProperty(forward, playedOn(stores.open)), {
        ...{ numRuns: 10, endOnFailure: true },
      })
    })
  }
})

type Event =
  | { readonly kind: 'send' | 'take'; node: number; agent: string; count: number }
  | { readonly kind: 'spend'; node: number; count: number }
  | { readonly kind: 'settle'; node: number }
  | { readonly kind: 'crash'; node: number; offset: number }
  | { readonly kind: 'advance' | 'back'; ms: number }

const as = <Kind extends Event['kind']>(kind: Kind) => fc.constant(kind)
const node = fc.nat(2)
const agent = fc.constantFrom('a', 'b', 'c')
const count = fc.integer({ min: 1, max: 6 })
const histories: fc.Arbitrary<Event[]> = fc.array(
  fc.oneof(
    { weight: 10, arbitrary: fc.record({ kind: as('send'), node, agent, count }) },
    { weight: 4, arbitrary: fc.record({ kind: as('take'), node, agent, count }) },
    { weight: 4, arbitrary: fc.record({ kind: as('spend'), node, count }) },
    {
      weight: 8,
      arbitrary: fc.record({ kind: as('advance'), ms: fc.integer({ min: 1, max: 2_500 }) }),
    },
    { weight: 2, arbitrary: fc.record({ kind: as('settle'), node }) },
    { weight: 1, arbitrary: fc.record({ kind: as('crash'), node, offset: fc.nat(1_000_000) }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: as('back'), ms: fc.integer({ min: 1, max: 2_000 }) }),
    },
  ),
  { minLength: 40, maxLength: 80 },
)

/** All on the first node; what set the clock back sets it forward, by more than a window. */
const setForward = (event: Event): Event => {
  if (event.kind === 'back') return { ...event, ms: -3 * event.ms - 4_000 }
  return 'node' in event ? { ...event, node: 0 } : event
}

/** Plays a history on three nodes and compares all that was sent with every window. */
const playedOn = (open: () => Promise<Store>) => async (history: readonly Event[]) => {
  const store = await open()
  const where = through(12, 4)
  const { nodes, start, advance, step, now } = await openNodes(store, 3)
  const held: Unit[][] = [[], [], []]
  const sentAt: number[] = []
  const play = async (event: Exclude<Event, { ms: number }>) => {
    const limits = nodes[event.node] as ApplicationLimits
    const own = held[event.node] as Unit[]
    const spend = (units: readonly Unit[]) => {
      for (const unit of units) if (limits.spend(unit)) sentAt.push(now())
    }
    if (event.kind === 'settle') return await limits.settle()
    if (event.kind === 'spend') return spend(own.splice(0, event.count))
    if (event.kind === 'crash') {
      nodes[event.node] = start(event.offset)
      own.length = 0
      return
    }
    const takes = Array.from({ length: event.count }, () => limits.take(where, event.agent))
    const taken = (await Promise.all(takes)).filter(isUnit)
    if (event.kind === 'send') spend(taken)
    else own.push(...taken)
  }
  for (const event of history) {
    if (!('ms' in event)) await play(event)
    else if (event.kind === 'advance') await advance(event.ms)
    else await step(-event.ms)
  }
  await store.close()
  for (const from of sentAt) {
    const inWindow = sentAt.filter((at) => at >= from && at < from + 4_000).length
    assert.ok(inWindow <= 12, `${inWindow} in the window from ${from}`)
  }
}

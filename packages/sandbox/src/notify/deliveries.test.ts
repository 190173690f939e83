import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type SandboxOptions, startWithings } from '../index.ts'
import {
  allow,
  clientOf,
  connect,
  nonceOf,
  type Started,
  signed,
  start,
  trade,
} from '../testing.ts'
import type { Try } from './deliveries.ts'
import { openCallback, status } from './testing.ts'

const begin = 1_795_435_200
const day = 86_400

type Waiting = { readonly tries: number; readonly due_at: number }
type Deliveries = { readonly waiting: readonly Waiting[]; readonly tries: readonly Try[] }
type Control = Pick<Started, 'control'>

const deliveriesOf = async ({ control }: Control) =>
  (await control('GET', '/deliveries')).body as Deliveries
const happen = ({ control }: Control, event: object) => control('POST', '/events', event)
const pass = ({ control }: Control, seconds: number) =>
  control('POST', '/clock', { advance_seconds: seconds })

/** A connected sandbox at a fixed moment whose application is subscribed to one category. */
async function subscribed(appli: number, options: SandboxOptions = {}) {
  const callback = await openCallback()
  const sandbox = await connect(undefined, { now: () => begin * 1000, ...options })
  const form = { action: 'subscribe', callbackurl: callback.url, appli }
  assert.equal((await sandbox.call('/notify', form)).status, 0)
  callback.calls.length = 0
  return {
    ...sandbox,
    callback,
    [Symbol.asyncDispose]: async () => {
      await sandbox[Symbol.asyncDispose]()
      await callback[Symbol.asyncDispose]()
    },
  }
}

test('a new measure is posted as a form, and can then be read', async () => {
  await using sandbox = await subscribed(1)
  const since = { action: 'getmeas', meastype: 1, lastupdate: begin - 1 }
  type Groups = { readonly measuregrps: readonly { readonly date: number }[] }
  const read = async () =>
    (await sandbox.call<Groups>('/measure', since)).body.measuregrps.map(({ date }) => date)
  assert.deepEqual(await read(), [])
  const { body } = await happen(sandbox, { event: 'weight' })
  assert.equal(body.notified, 1)
  const date = begin - 30
  assert.deepEqual(sandbox.callback.calls, [
    {
      method: 'POST',
      target: '/hook?secret=s1',
      type: 'application/x-www-form-urlencoded',
      form: {
        userid: `${sandbox.tokens.userid}`,
        appli: '1',
        startdate: `${date}`,
        enddate: `${date + 1}`,
      },
    },
  ])
  assert.deepEqual(await read(), [date])
})

const dataEvents = [
  ['blood_pressure', 4, '/measure', { action: 'getmeas', meastype: 10, lastupdate: begin - 1 }],
  ['sleep', 44, '/v2/sleep', { action: 'getsummary', lastupdate: begin - 500 }],
  ['workout', 16, '/v2/measure', { action: 'getworkouts', lastupdate: begin - 1 }],
  ['ecg', 54, '/v2/heart', { action: 'list', startdate: begin - 60 }],
] as const

for (const [event, appli, path, form] of dataEvents) {
  test(`${event} is notified as ${appli}, and its data is there`, async () => {
    await using sandbox = await subscribed(appli)
    const count = async () => {
      const { body } = await sandbox.call<Record<string, readonly object[]>>(path, form)
      return (body.measuregrps ?? body.series)?.length
    }
    assert.equal(await count(), 0)
    await happen(sandbox, { event })
    await happen(sandbox, { event })
    assert.equal(await count(), 2)
    assert.deepEqual(
      sandbox.callback.posts().map((it) => it.form.appli),
      [`${appli}`, `${appli}`],
    )
  })
}

test('the dates of a notified nap are those under which its stages are found', async () => {
  await using sandbox = await subscribed(44)
  await happen(sandbox, { event: 'sleep' })
  const { startdate = '', enddate = '' } = sandbox.callback.posts()[0]?.form ?? {}
  const get = { action: 'get', startdate, enddate, data_fields: 'hr' }
  const { body } = await sandbox.call<{ series: readonly { hr: object }[] }>('/v2/sleep', get)
  assert.equal(body.series.length, 6)
  assert.ok(body.series.every(({ hr }) => Object.keys(hr).length > 0))
})

test('the signal of a recording that happened can be read', async () => {
  await using sandbox = await subscribed(54)
  await happen(sandbox, { event: 'ecg' })
  type List = { readonly series: readonly { readonly ecg: { readonly signalid: number } }[] }
  const { body } = await sandbox.call<List>('/v2/heart', { action: 'list' })
  const get = { action: 'get', signalid: body.series[0]?.ecg.signalid ?? 0 }
  const { signal } = (await sandbox.call<{ signal: readonly number[] }>('/v2/heart', get)).body
  assert.equal(signal.length, 9000)
})

const moments = [
  ['bed_in', 50],
  ['bed_out', 51],
  ['mat_inflated', 52],
  ['ecg_failed', 55],
] as const

for (const [event, appli] of moments) {
  test(`${event} is notified as ${appli} with the device and the moment`, async () => {
    await using sandbox = await subscribed(appli)
    await happen(sandbox, { event })
    const { deviceid = '', ...rest } = sandbox.callback.posts()[0]?.form ?? {}
    assert.match(deviceid, /^[0-9a-f]{40}$/)
    assert.deepEqual(rest, {
      userid: `${sandbox.tokens.userid}`,
      appli: `${appli}`,
      date: `${begin}`,
    })
  })
}

for (const [action, isOver] of [
  ['update', false],
  ['unlink', true],
  ['delete', true],
] as const) {
  test(`the profile's ${action} is notified as 46${isOver ? ' and ends the connection' : ''}`, async () => {
    await using sandbox = await subscribed(46)
    await happen(sandbox, { event: 'profile', action })
    const { form } = sandbox.callback.posts()[0] ?? {}
    assert.deepEqual(form, { userid: `${sandbox.tokens.userid}`, appli: '46', action })
    const call = await sandbox.call('/v2/user', { action: 'getgoals' })
    assert.equal(call.status, isOver ? 401 : 0)
    await happen(sandbox, { event: 'profile', action: 'update', userid: sandbox.tokens.userid })
    assert.equal(sandbox.callback.posts().length, isOver ? 1 : 2)
  })
}

test('a device that belongs to nobody is notified without a user', async () => {
  await using callback = await openCallback()
  await using sandbox = await start()
  const signature = signed('subscribe', await nonceOf(sandbox))
  await sandbox.post('/notify', { ...signature, callbackurl: callback.url, appli: 53 })
  await happen(sandbox, { event: 'unassociated_device' })
  const form = callback.posts()[0]?.form ?? {}
  assert.deepEqual(Object.keys(form).sort(), ['appli', 'deviceid'])
})

test('news goes to the person and the category that were subscribed, and nobody else', async () => {
  await using sandbox = await subscribed(1)
  const person = (await trade(sandbox, await allow(sandbox.url, undefined, { mode: null }))).body
  await happen(sandbox, { event: 'sleep', userid: sandbox.tokens.userid })
  await happen(sandbox, { event: 'weight', userid: person.userid })
  assert.deepEqual(sandbox.callback.posts(), [])
  assert.equal((await happen(sandbox, { event: 'weight' })).http, 400)
})

for (const http of [200, 204, 302, 399]) {
  test(`an answer of ${http} counts as delivered`, async () => {
    await using sandbox = await subscribed(1)
    sandbox.callback.answerWith(status(http))
    await happen(sandbox, { event: 'weight' })
    await pass(sandbox, day)
    assert.equal(sandbox.callback.posts().length, 1)
    assert.deepEqual((await deliveriesOf(sandbox)).waiting, [])
  })
}

test('a failing callback is tried ten times: two at once, after 10 s, a minute, an hour, four', async () => {
  await using sandbox = await subscribed(1)
  sandbox.callback.answerWith(status(500))
  await happen(sandbox, { event: 'weight' })
  const steps: number[] = []
  for (let pairs = 1; pairs <= 5; pairs += 1) {
    const { waiting, tries } = await deliveriesOf(sandbox)
    assert.equal(tries.length, pairs * 2)
    assert.equal(sandbox.callback.posts().length, pairs * 2)
    const last = tries.at(-1)?.at ?? 0
    assert.equal(tries.at(-2)?.at, last)
    const [next] = waiting
    assert.equal(next === undefined, pairs === 5)
    if (next === undefined) break
    steps.push(next.due_at - last)
    const { now } = (await pass(sandbox, next.due_at - last - 1)).body
    assert.equal(sandbox.callback.posts().length, pairs * 2, `too early at ${now}`)
    await pass(sandbox, 1)
  }
  const [second = 0, third = 0, fourth = 0, fifth = 0] = steps
  assert.equal(second, 10)
  assert.ok(third >= 60 + 60 && third <= 60 + 600, `${third}`)
  assert.ok(fourth >= 3600 + 120 && fourth <= 3600 + 1200, `${fourth}`)
  assert.ok(fifth >= 14_400 + 180 && fifth <= 14_400 + 1800, `${fifth}`)
  await pass(sandbox, 30 * day)
  assert.equal(sandbox.callback.posts().length, 10)
})

test('a clock that jumps ahead makes up for every try that it passed', async () => {
  await using sandbox = await subscribed(1)
  sandbox.callback.answerWith(status(503))
  await happen(sandbox, { event: 'weight' })
  await pass(sandbox, day)
  const { tries, waiting } = await deliveriesOf(sandbox)
  assert.deepEqual(
    tries.map(({ number, http, delivered }) => [number, http, delivered]),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((number) => [number, 503, false]),
  )
  assert.deepEqual(waiting, [])
})

test('a retry that is answered ends the tries', async () => {
  await using sandbox = await subscribed(1)
  sandbox.callback.answerWith((response) =>
    response.writeHead(sandbox.callback.posts().length < 3 ? 500 : 200).end(),
  )
  await happen(sandbox, { event: 'weight' })
  await pass(sandbox, day)
  assert.equal(sandbox.callback.posts().length, 3)
  const forms = sandbox.callback.posts().map(({ form }) => JSON.stringify(form))
  assert.equal(new Set(forms).size, 1)
})

test('an answer that does not come in time is none', async () => {
  await using sandbox = await subscribed(1)
  sandbox.callback.answerWith(() => undefined)
  await happen(sandbox, { event: 'weight' })
  const { tries } = await deliveriesOf(sandbox)
  assert.deepEqual(
    tries.map(({ http, delivered }) => [http, delivered]),
    [
      [null, false],
      [null, false],
    ],
  )
})

test('by itself, without anybody at the clock, the second pair follows after ten seconds', async () => {
  let ms = begin * 1000
  await using sandbox = await subscribed(1, { now: () => ms })
  sandbox.callback.answerWith(status(500))
  await happen(sandbox, { event: 'weight' })
  // The timer waits for ten seconds of the machine's; then it looks at the clock it was given.
  ms += 10_000
  await until(() => sandbox.callback.posts().length === 4)
})

test('a revoked subscription hears no more, not even of what was on its way', async () => {
  await using sandbox = await subscribed(1)
  sandbox.callback.answerWith(status(500))
  await happen(sandbox, { event: 'weight' })
  const revoke = { action: 'revoke', callbackurl: sandbox.callback.url, appli: 1 }
  assert.equal((await sandbox.call('/notify', revoke)).status, 0)
  await pass(sandbox, day)
  await happen(sandbox, { event: 'weight' })
  assert.equal(sandbox.callback.posts().length, 2)
})

test('a signed revoke of the person ends the news as well', async () => {
  await using sandbox = await subscribed(1)
  const { userid } = sandbox.tokens
  const form = { ...signed('revoke', await nonceOf(sandbox)), userid }
  assert.equal((await sandbox.post('/v2/oauth2', form)).status, 0)
  assert.equal((await happen(sandbox, { event: 'weight', userid })).http, 400)
  assert.deepEqual(sandbox.callback.posts(), [])
})

test('an expired subscription hears nothing', async () => {
  await using sandbox = await subscribed(1)
  await sandbox.control('POST', '/expire', { subscriptions: 'all' })
  assert.equal((await happen(sandbox, { event: 'weight' })).body.notified, 0)
  assert.deepEqual(sandbox.callback.posts(), [])
})

type Standing = {
  readonly appli: number
  readonly warnings: number
  readonly lost_in_a_row: number
  readonly cancelled_at: number | null
  readonly callbackurl: string
}

async function standingOf(sandbox: Control, callbackurl: string): Promise<Standing | undefined> {
  const { subscriptions } = (await sandbox.control('GET', '/state')).body
  return (subscriptions as readonly Standing[]).find((it) => it.callbackurl === callbackurl)
}

/** Lets notifications get lost, each after all its tries. */
async function lose(sandbox: Control, count: number): Promise<void> {
  for (let lost = 0; lost < count; lost += 1) {
    await happen(sandbox, { event: 'weight' })
    await pass(sandbox, day / 4)
  }
}

test('four lost notifications in a row are a warning, at most four; 20 days later it is over', async () => {
  await using sandbox = await subscribed(1)
  const { url } = sandbox.callback
  sandbox.callback.answerWith(status(500))
  await lose(sandbox, 3)
  assert.deepEqual(pick(await standingOf(sandbox, url)), [3, 0])
  await lose(sandbox, 1)
  assert.deepEqual(pick(await standingOf(sandbox, url)), [4, 1])
  await lose(sandbox, 16)
  const standing = await standingOf(sandbox, url)
  assert.deepEqual(pick(standing), [20, 4])
  const { now } = (await pass(sandbox, 0)).body
  await pass(sandbox, Number(standing?.cancelled_at) - Number(now) - 1)
  assert.ok((await standingOf(sandbox, url)) !== undefined)
  await pass(sandbox, 1)
  assert.equal(await standingOf(sandbox, url), undefined)
})

test('one delivered notification makes up for all that were lost', async () => {
  await using sandbox = await subscribed(1)
  const { url } = sandbox.callback
  sandbox.callback.answerWith(status(500))
  await lose(sandbox, 5)
  sandbox.callback.answerWith(status(200))
  await happen(sandbox, { event: 'weight' })
  assert.deepEqual(pick(await standingOf(sandbox, url)), [0, 0])
  await pass(sandbox, 30 * day)
  assert.ok((await standingOf(sandbox, url)) !== undefined)
})

function pick(standing: Standing | undefined) {
  return [standing?.lost_in_a_row, standing?.warnings]
}

test('what was on its way when the sandbox ended goes on in the next one', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'okoro-sandbox-'))
  await using callback = await openCallback()
  try {
    await leaveUndelivered(dataDir, callback)
    assert.equal(callback.posts().length, 2)
    callback.answerWith(status(200))
    const sandbox = await startWithings({ dataDir, now: () => begin * 1000 })
    try {
      await pass(clientOf(sandbox), 10)
      assert.equal(callback.posts().length, 3)
    } finally {
      await sandbox.close()
    }
  } finally {
    await rm(dataDir, { recursive: true })
  }
})

async function leaveUndelivered(
  dataDir: string,
  callback: Awaited<ReturnType<typeof openCallback>>,
): Promise<void> {
  await using sandbox = await connect(undefined, { dataDir, now: () => begin * 1000 })
  const form = { action: 'subscribe', callbackurl: callback.url, appli: 1 }
  await sandbox.call('/notify', form)
  callback.answerWith(status(500))
  await happen(sandbox, { event: 'weight' })
}

test('confirming an ambiguous measure is news of its category', async () => {
  await using sandbox = await subscribed(1)
  type Groups = { readonly measuregrps: readonly { readonly grpid: number }[] }
  const list = { action: 'getmeas', meastype: 1 }
  const { body } = await sandbox.call<Groups>('/measure', list)
  const grpid = body.measuregrps[0]?.grpid ?? 0
  await sandbox.call('/v2/measure', { action: 'confirmuser', grpid, is_confirmed: 'true' })
  await until(() => sandbox.callback.posts().length === 1)
})

for (const wrong of [
  {},
  { event: 'constructor' },
  { event: 'weight', userid: 1 },
  { event: 'profile' },
  { event: 'profile', action: 'rename' },
]) {
  test(`POST /events refuses ${JSON.stringify(wrong)}`, async () => {
    await using sandbox = await connect()
    const { http, body } = await happen(sandbox, wrong)
    assert.equal(http, 400)
    assert.equal(typeof body.error, 'string')
  })
}

async function until(isSo: () => boolean): Promise<void> {
  const deadline = Date.now() + 40_000
  while (!isSo()) {
    assert.ok(Date.now() < deadline, 'it never came')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

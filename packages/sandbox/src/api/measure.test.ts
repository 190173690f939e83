import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MeasureGroup } from '../data/measures.ts'
import { connect } from '../testing.ts'

type Page = {
  readonly measuregrps: readonly MeasureGroup[]
  readonly more: number
  readonly offset: number
}

const getmeas = { action: 'getmeas' }

test('two years of measures come in pages of 300, newest first, without gap or repetition', async () => {
  await using sandbox = await connect()
  const groups: MeasureGroup[] = []
  let offset = 0
  do {
    const { body } = await sandbox.call<Page>('/measure', { ...getmeas, offset })
    assert.ok(body.measuregrps.length <= 300)
    groups.push(...body.measuregrps)
    assert.equal(body.more, body.offset > 0 ? 1 : 0)
    offset = body.offset
  } while (offset > 0)
  assert.ok(groups.length > 650, `${groups.length} groups`)
  assert.equal(new Set(groups.map(({ grpid }) => grpid)).size, groups.length)
  const dates = groups.map(({ date }) => date)
  assert.deepEqual(
    dates,
    dates.toSorted((a, b) => b - a),
  )
})

test('a morning on the scale adds up: fat and lean mass make the weight', async () => {
  await using sandbox = await connect()
  const { body } = await sandbox.call<Page>('/measure', {
    ...getmeas,
    meastypes: '1,5,6,8,76,77,88',
  })
  for (const { measures } of body.measuregrps.filter(({ model }) => model === 'Body+')) {
    const real = new Map(measures.map(({ type, value, unit }) => [type, value * 10 ** unit]))
    const of = (type: number) => real.get(type) ?? Number.NaN
    assert.ok(of(1) > 60 && of(1) < 95, `weight ${of(1)}`)
    assert.ok(Math.abs(of(5) + of(8) - of(1)) < 0.02)
    assert.ok(Math.abs(of(8) / of(1) - of(6) / 100) < 0.001)
    assert.ok(Math.abs(of(76) + of(88) - of(5)) < 0.03)
  }
})

test('meastype and meastypes leave out other types and the groups without them', async () => {
  await using sandbox = await connect()
  for (const asked of [{ meastype: 10 }, { meastypes: '10' }]) {
    const { body } = await sandbox.call<Page>('/measure', { ...getmeas, ...asked })
    assert.ok(body.measuregrps.length > 90)
    const types = body.measuregrps.flatMap(({ measures }) => measures.map(({ type }) => type))
    assert.deepEqual([...new Set(types)], [10])
  }
})

test('category 2 answers goals alone', async () => {
  await using sandbox = await connect()
  const { body } = await sandbox.call<Page>('/measure', { ...getmeas, category: 2 })
  assert.deepEqual(
    body.measuregrps.map(({ category }) => category),
    [2],
  )
})

test('a window keeps to its ends, and lastupdate now is empty', async () => {
  const now = 1_795_400_000
  await using sandbox = await connect(undefined, { now: () => now * 1000 })
  const week = { ...getmeas, startdate: now - 7 * 86_400, enddate: now - 86_400 }
  const { body } = await sandbox.call<Page>('/measure', week)
  assert.ok(body.measuregrps.length > 0)
  assert.ok(body.measuregrps.every(({ date }) => date >= week.startdate && date <= week.enddate))
  const changed = await sandbox.call<Page>('/measure', { ...getmeas, lastupdate: now })
  assert.deepEqual(changed.body.measuregrps, [])
})

test('nothing is dated after now', async () => {
  const now = 1_795_330_000
  await using sandbox = await connect(undefined, { now: () => now * 1000 })
  const { body } = await sandbox.call<Page>('/measure', getmeas)
  assert.ok(body.measuregrps.every(({ modified }) => modified <= now))
})

for (const wrong of [
  { startdate: '2026-01-01' },
  { startdate: -1 },
  { enddate: 'now' },
  { lastupdate: '1.5' },
  { offset: 'x' },
  { category: 3 },
  { meastype: '1,6' },
  { meastypes: '1,,6' },
]) {
  const [name = '', value] = Object.entries(wrong)[0] ?? []
  test(`${name}=${value} answers 503`, async () => {
    await using sandbox = await connect()
    const answer = await sandbox.call('/measure', { ...getmeas, ...wrong })
    assert.deepEqual([answer.status, answer.error], [503, `Invalid Params: invalid ${name}`])
  })
}

test('confirming an ambiguous measure makes its attribution 7, disowning it takes it away', async () => {
  await using sandbox = await connect()
  const ambiguous = async () => {
    const { body } = await sandbox.call<Page>('/measure', { ...getmeas, meastype: 1 })
    return body.measuregrps
  }
  const [first, second] = await ambiguous()
  assert.ok(first !== undefined && second !== undefined)
  const confirm = { action: 'confirmuser', grpid: first.grpid, is_confirmed: 'true' }
  assert.equal((await sandbox.call('/v2/measure', confirm)).status, 0)
  const disown = { action: 'confirmuser', grpid: second.grpid, is_confirmed: 'false' }
  assert.equal((await sandbox.call('/v2/measure', disown)).status, 0)
  const after = await ambiguous()
  assert.equal(after.find(({ grpid }) => grpid === first.grpid)?.attrib, 7)
  assert.equal(
    after.find(({ grpid }) => grpid === second.grpid),
    undefined,
  )
})

test('an unknown measure cannot be confirmed', async () => {
  await using sandbox = await connect()
  const form = { action: 'confirmuser', grpid: 1, is_confirmed: 'true' }
  assert.equal((await sandbox.call('/v2/measure', form)).status, 503)
})

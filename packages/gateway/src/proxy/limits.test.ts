import assert from 'node:assert/strict'
import { request } from 'node:http'
import { test } from 'node:test'
import type { LimitChoice } from '../connections/applications.ts'
import { type House, openHouse } from './testing.ts'

/** The limits of an application on the straight path, over the real sandbox. */

const agentLimits = { perSecond: 1_000, burst: 1_000, concurrent: 200 }

async function inHouse(limit: LimitChoice, run: (house: House, post: Post) => Promise<void>) {
  const house = await openHouse(agentLimits, null, limit)
  try {
    await house.grant({ id: 'grt_1', scope: 'read' })
    const token = await house.token()
    await house.control('DELETE', '/received')
    await run(house, async (path, body) => {
      const response = await fetch(house.url + path, {
        ...{ method: 'POST', body: JSON.stringify(body ?? {}) },
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      })
      const { status, headers } = response
      return { status, headers, body: (await response.json()) as Answered['body'] }
    })
  } finally {
    await house.close()
  }
}
type Answered = {
  readonly status: number
  readonly headers: Headers
  readonly body: Readonly<Record<string, unknown>>
}
type Post = (path: string, body?: object) => Promise<Answered>

const inAMinute = (requests: number) => ({ requests, seconds: 60 })
const arrived = async (house: House) => (await house.received()).map(({ target }) => target)
const fault = (house: House, ...faults: readonly object[]) =>
  house.control('POST', '/faults', { faults: faults.map((one) => ({ times: 1, ...one })) })
const tooMany = { kind: 'envelope', status: 601, error: 'Too Many Requests' }
const duplicate = {
  ...{ kind: 'envelope', status: 601, error: 'Same arguments in less than 10 seconds' },
}

test('what is over the limit is refused, says whose limit it was, and never arrives', async () => {
  await inHouse(inAMinute(5), async (house, post) => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => post('/measure', { lastupdate: index })),
    )
    const passed = answers.filter(({ status }) => status === 200)
    const refused = answers.filter(({ status }) => status === 429)
    assert.deepEqual([passed.length, refused.length], [5, 15])
    assert.equal((await arrived(house)).length, 5)
    const [first] = refused
    assert.equal(first?.headers.get('okoro-error'), 'rate_limited')
    assert.equal(first?.body.limit, 'application')
    assert.match(String(first?.body.application), /^app_/)
    assert.match(String(first?.body.message), /^5 calls in 60 s/)
    const wait = Number(first?.headers.get('retry-after'))
    assert.ok(wait >= 60 && wait <= 64, `${wait}`)
    assert.equal(first?.body.retry_after_seconds, wait)
  })
})

test('a flood over the limit is one record, with what would have been sent', async () => {
  await inHouse(inAMinute(1), async (house, post) => {
    for (let count = 0; count < 8; count += 1) await post('/measure', { lastupdate: count })
    const denied = (await house.records()).filter(({ decision }) => decision === 'deny')
    assert.deepEqual(
      denied.map(({ reason, limit, status, rule }) => [reason, limit, status, rule]),
      [['rate_limited', 'application', 429, null]],
    )
    assert.notEqual(denied[0]?.target, null)
  })
})

test('a denied call takes nothing out of the limit', async () => {
  await inHouse(inAMinute(2), async (house, post) => {
    for (let count = 0; count < 4; count += 1) {
      assert.equal((await post('/v2/user', { action: 'unlink', mac_address: 'a' })).status, 403)
    }
    assert.equal((await post('/measure')).status, 200)
    assert.equal((await post('/v2/user')).status, 200)
    assert.equal((await post('/v2/heart')).status, 429)
    assert.equal((await arrived(house)).length, 2)
  })
})

test('a call that is sent again after a refresh takes two', async () => {
  await inHouse(inAMinute(3), async (house, post) => {
    await house.control('POST', '/expire', { tokens: 'access' })
    assert.equal((await post('/measure')).body.status, 0)
    assert.equal((await post('/v2/user')).body.status, 0)
    assert.equal((await post('/v2/heart')).status, 429)
  })
})

test('where nothing is left for sending it again, the refusal is on record as a second attempt', async () => {
  await inHouse(inAMinute(1), async (house, post) => {
    await house.control('POST', '/expire', { tokens: 'access' })
    const answer = await post('/measure')
    assert.equal(answer.body.limit, 'application')
    const records = await house.records()
    const own = records.filter(({ request_id: id }) => id === answer.body.request_id)
    assert.deepEqual(
      own.map(({ kind, attempt_no: no, decision = null }) => [kind, no, decision]),
      [
        ['attempt', 1, 'allow'],
        ['outcome', 1, null],
        ['attempt', 2, 'deny'],
      ],
    )
  })
})

test('a call that has to be judged again keeps its unit', async () => {
  await inHouse(inAMinute(1), async (house, post) => {
    const authorization = `Bearer ${await house.token()}`
    const headers = { authorization, 'content-type': 'application/json', 'content-length': '2' }
    const sent = request(`${house.url}/measure`, { method: 'POST', headers })
    const answered = new Promise<number>((resolve, reject) => {
      sent.once('response', (response) => resolve(response.resume().statusCode ?? 0))
      sent.once('error', reject)
    })
    // Its token is judged once the head is there; the body comes under a newer policy.
    sent.write('{')
    const lookedAt = house.store.policyEpoch()
    await new Promise((resolve) => setTimeout(resolve, 100))
    await house.store.write({ records: [], bumpsPolicy: true })
    assert.equal(house.store.policyEpoch(), lookedAt + 1)
    sent.end('}')
    assert.equal(await answered, 200)
    assert.equal((await post('/measure')).status, 429)
    assert.equal((await arrived(house)).length, 1)
  })
})

test('a provider that says too many pauses the application, and its answer arrives unchanged', async () => {
  await inHouse('none', async (house, post) => {
    await fault(house, { ...tooMany, body: '{"wait_seconds":68}' })
    const first = await post('/measure')
    assert.equal(first.status, 200)
    assert.deepEqual(first.body, {
      ...{ status: 601, body: { wait_seconds: 68 }, error: 'Too Many Requests' },
    })
    assert.equal(first.headers.get('retry-after'), '68')
    assert.equal(first.headers.get('okoro-error'), null)
    const second = await post('/v2/user')
    assert.equal(second.status, 429)
    assert.equal(second.body.limit, 'provider')
    assert.match(String(second.body.message), /^Withings has said/)
    const wait = Number(second.headers.get('retry-after'))
    assert.ok(wait >= 60 && wait <= 69, `${wait}`)
    assert.deepEqual(await arrived(house), ['/measure'])
    const [paused, ...more] = (await house.records()).filter(
      ({ kind }) => kind === 'application.paused',
    )
    assert.deepEqual([paused?.seconds, paused?.provider, more.length], [68, 'withings', 0])
  })
})

test('a pause ends when it said it would', async () => {
  await inHouse('none', async (house, post) => {
    await fault(house, { ...tooMany, body: '{"wait_seconds":1}' })
    const wait = Number((await post('/measure')).headers.get('retry-after'))
    assert.equal((await post('/measure')).status, 429)
    await new Promise((resolve) => setTimeout(resolve, wait * 1_000))
    assert.equal((await post('/measure')).body.status, 0)
  })
})

test('the duplicate guard is about one call: it passes through and pauses nothing', async () => {
  await inHouse('none', async (house, post) => {
    await fault(house, duplicate)
    const first = await post('/measure')
    assert.equal(first.body.status, 601)
    assert.equal(first.headers.get('retry-after'), '10')
    assert.equal((await post('/v2/user')).body.status, 0)
  })
})

test('the duplicate guard may meet a call that is sent again after a refresh', async () => {
  await inHouse('none', async (house, post) => {
    await fault(house, { kind: 'envelope', status: 401, error: 'invalid_token' })
    await fault(house, { ...duplicate, path: '/measure' })
    const answer = await post('/measure')
    assert.equal(answer.body.status, 601)
    assert.equal(answer.headers.get('retry-after'), '10')
    assert.deepEqual(await arrived(house), ['/measure', '/v2/oauth2', '/measure'])
    assert.equal((await post('/v2/user')).body.status, 0)
  })
})

test('what the provider itself says about waiting is not said twice', async () => {
  await inHouse('none', async (house, post) => {
    await fault(house, { ...duplicate, headers: { 'retry-after': '3' } })
    assert.equal((await post('/measure')).headers.get('retry-after'), '3')
  })
})

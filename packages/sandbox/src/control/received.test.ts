import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { application, connect, refresh, start } from '../testing.ts'
import { ReceivedLog } from './received.ts'

type Entry = {
  readonly n: number
  readonly target: string
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string
  readonly status: number | null
  readonly fault: string | null
}

async function temporaryLog() {
  const folder = await mkdtemp(join(tmpdir(), 'okoro-sandbox-'))
  const path = join(folder, 'received.ndjson')
  const text = () => readFile(path, 'utf8')
  const read = async (): Promise<readonly Entry[]> =>
    (await text()).split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]))
  return { path, text, read, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) }
}

const marked = (marker: string) => ({ action: 'getgoals', marker })

test('every request is a line of the log file before its answer arrives', async () => {
  await using log = await temporaryLog()
  await using sandbox = await connect(undefined, { logFile: log.path })
  for (const marker of ['one', 'two', 'three']) {
    await sandbox.call('/v2/user', marked(marker))
    const last = (await log.read()).at(-1)
    assert.equal(last?.body, `action=getgoals&marker=${marker}`)
    assert.deepEqual([last.target, last.status, last.fault], ['/v2/user', 0, null])
  }
  const numbers = (await log.read()).map(({ n }) => n)
  assert.deepEqual(
    numbers,
    numbers.map((_, index) => index + 1),
  )
  assert.equal((await stat(log.path)).mode & 0o777, 0o600)
})

test('a request whose answer a fault swallows is in the log file all the same', async () => {
  await using log = await temporaryLog()
  await using sandbox = await connect(undefined, { logFile: log.path })
  await sandbox.control('POST', '/faults', { faults: [{ kind: 'reset', after_effect: true }] })
  await assert.rejects(sandbox.call('/v2/user', marked('swallowed')))
  const last = (await log.read()).at(-1)
  assert.deepEqual([last?.body.includes('swallowed'), last?.fault], [true, 'reset'])
})

test('a log file goes on where it ended', async () => {
  await using log = await temporaryLog()
  for (let run = 0; run < 2; run += 1) {
    await using sandbox = await start({ logFile: log.path })
    await sandbox.post('/measure', marked(`run ${run}`))
  }
  assert.deepEqual(
    (await log.read()).map(({ n }) => n),
    [1, 1],
  )
})

test('the log file holds hashes in place of secrets, and the same hash for the same secret', async () => {
  await using log = await temporaryLog()
  await using sandbox = await connect(undefined, { logFile: log.path })
  const { access_token, refresh_token } = sandbox.tokens
  await sandbox.call('/v2/user', marked('first'))
  await sandbox.call('/v2/user', marked('second'))
  await sandbox.post(`/v2/user?access_token=${access_token}`, marked('in the query'))
  await refresh(sandbox, refresh_token)
  await fetch(`${sandbox.url}/v2/oauth2`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ refresh_token, client_secret: application.clientSecret }),
  })
  const text = await log.text()
  for (const secret of [access_token, refresh_token, application.clientSecret]) {
    assert.ok(!text.includes(secret))
  }
  const bearers = (await log.read()).flatMap(({ headers }) =>
    headers.flatMap(([name, value]) => (/^authorization$/i.test(name) ? [value] : [])),
  )
  assert.match(bearers[0] ?? '', /^Bearer sha256:[0-9a-f]{16}$/)
  assert.equal(new Set(bearers).size, 1)
})

test('what was received can be read on from a number', async () => {
  await using sandbox = await connect()
  await sandbox.control('DELETE', '/received')
  for (const marker of ['a', 'b', 'c', 'd']) await sandbox.call('/v2/user', marked(marker))
  const read = async (query: string) =>
    (await sandbox.control('GET', `/received${query}`)).body.requests as readonly Entry[]
  const all = await read('')
  const [first, second, third] = all
  assert.equal(all.length, 4)
  assert.deepEqual(await read(`?after=${first?.n}&limit=2`), [second, third])
  assert.deepEqual(await read(`?after=${all.at(-1)?.n}`), [])
  assert.equal((await sandbox.control('GET', '/received?after=x')).http, 400)
})

test('the latest 10 000 requests are kept, and the numbers show how many are gone', () => {
  const log = new ReceivedLog(null)
  const request = { method: 'GET', url: '/', rawHeaders: [] }
  for (let count = 0; count < 25_000; count += 1) log.add(request, '', 0)
  assert.deepEqual(
    [log.all().length, log.all()[0]?.n, log.all().at(-1)?.n],
    [10_000, 15_001, 25_000],
  )
})

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
  request as send,
} from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { type House, openHouse } from './testing.ts'

/** Bodies that pass as they arrive, between a real agent's socket and a real provider's. */

const maxBodyBytes = 24_000_000
const place = mkdtempSync(join(tmpdir(), 'okoro-streaming-'))

type Seen = {
  readonly headers: IncomingMessage['headers']
  readonly rawHeaders: readonly string[]
  readonly body: Buffer
  readonly isWhole: boolean
  readonly trailers: NodeJS.Dict<string>
}

let house: House
let seen: Seen[] = []
let arrived = 0
let accessTokens = 0
/** What the provider does with the next request, if not read it and answer. */
let behaviour: ((request: IncomingMessage, response: ServerResponse) => void) | null = null

const provider = createServer(async (request, response) => {
  if (request.url === '/login/oauth/token') {
    accessTokens += 1
    const token = { access_token: `access-${accessTokens}`, refresh_token: 'refresh' }
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ ...token, token_type: 'bearer', expires_in: 36_000 }))
    return
  }
  arrived += 1
  const { headers, rawHeaders } = request
  const chunks: Buffer[] = []
  request.on('data', (chunk) => chunks.push(chunk))
  const note = () => {
    const { complete: isWhole, trailers } = request
    seen.push({ headers, rawHeaders, body: Buffer.concat(chunks), isWhole, trailers })
  }
  request.once('close', note)
  request.on('error', () => {})
  if (behaviour) behaviour(request, response)
  else request.on('end', () => response.end('{"ok":true}'))
})

before(async () => {
  await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`
  mkdirSync(join(place, 'forge'))
  const forge = new URL('../catalog/examples/forge/provider.yaml', import.meta.url)
  const limits = `limits:\n  max_body_bytes: ${maxBodyBytes}\n  idle_seconds: 1\n`
  const file = readFileSync(forge, 'utf8')
    .replace('rotates: false', 'rotates: true')
    .replace(/^limits:\n/m, limits)
  assert.ok(file.includes(limits) && file.includes('rotates: true'))
  writeFileSync(join(place, 'forge/provider.yaml'), file)
  house = await openHouse(undefined, { name: 'forge', folder: place, origin })
  await house.grant({ id: 'grt_2', provider: 'forge', scope: 'all', connectionId: house.alsoId })
})
after(async () => {
  provider.closeAllConnections()
  provider.close()
  await house?.close()
  rmSync(place, { recursive: true, force: true })
})
beforeEach(() => {
  behaviour = null
  seen = []
  arrived = 0
})

const token = () => house.token('all', null, 'forge')
const head = async (...lines: string[]) =>
  [
    ...['POST /p/forge/uploads/ HTTP/1.1', 'Host: gateway.test', 'Content-Type: text/plain'],
    ...[`Authorization: Bearer ${await token()}`, ...lines, '', ''],
  ].join('\r\n')

type Answered = { readonly status: number; readonly headers: Headers; readonly text: string }

/** Sends a body with its length, or chunked where it comes as a list. */
async function upload(
  body: Buffer | readonly Buffer[],
  headers: OutgoingHttpHeaders = {},
): Promise<Answered> {
  const authorization = `Bearer ${await token()}`
  const whole = Buffer.isBuffer(body)
  const length = whole ? { 'content-length': body.length } : {}
  return await new Promise((resolve, reject) => {
    const sent = send(
      `http://127.0.0.1:${house.port}/p/forge/uploads/`,
      { method: 'POST', agent: false, headers: { authorization, ...length, ...headers } },
      async (response) => {
        try {
          const text = Buffer.concat(await response.toArray()).toString()
          const { statusCode: status = 0 } = response
          resolve({ status, text, headers: new Headers(response.headers as never) })
        } catch (error) {
          reject(error)
        }
      },
    )
    sent.once('error', reject)
    if (whole) sent.end(body)
    else {
      for (const chunk of body) sent.write(chunk)
      sent.end()
    }
  })
}

const eventually = async <Value>(read: () => Promise<Value | undefined>): Promise<Value> => {
  for (let left = 500; left > 0; left -= 1) {
    const value = await read()
    if (value !== undefined) return value
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error('it never came')
}

/** Attempt and outcome of the newest call. */
const recorded = (count: number) =>
  eventually(async () => {
    const records = (await house.records()).filter(({ provider: name }) => name === 'forge')
    const attempt = records.filter(({ kind }) => kind === 'attempt').at(-1)
    const outcome = (await house.records()).find(
      ({ kind, request_id }) => kind === 'outcome' && request_id === attempt?.request_id,
    )
    return attempt && outcome && records.length >= count ? { attempt, outcome } : undefined
  })
const attempts = async () =>
  (await house.records()).filter(({ provider: name }) => name === 'forge').length
const digestOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('base64url')
const disclosedDigest = async (kind: 'attempt' | 'outcome', requestId: unknown) => {
  const rows = await house.store.db
    .selectFrom('record')
    .innerJoin('disclosure', (join) =>
      join.onRef('disclosure.n', '=', 'record.n').onRef('disclosure.boot', '=', 'record.boot'),
    )
    .select('disclosure.fields')
    .where('record.kind', '=', kind)
    .where('record.request_id', '=', String(requestId))
    .execute()
  return rows[0] ? JSON.parse(rows[0].fields).request_digest?.value : undefined
}
/** An agent's own socket; `text` is what it has received. */
async function open(): Promise<{ socket: Socket; text: () => string; closed: Promise<void> }> {
  const socket = connect(house.port, '127.0.0.1')
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1')
  })
  socket.on('error', () => {})
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  await new Promise<void>((resolve) => socket.once('connect', resolve))
  return { socket, text: () => text, closed }
}

test('a long body passes byte for byte with its length, and the outcome has its digest', async () => {
  const body = randomBytes(2_000_000)
  const { status, headers } = await upload(body)
  assert.equal(status, 200)
  assert.equal(seen[0]?.headers['content-length'], `${body.length}`)
  assert.equal(seen[0]?.headers['transfer-encoding'], undefined)
  assert.ok(seen[0]?.body.equals(body))
  const id = headers.get('okoro-request-id')
  const { attempt, outcome } = await recorded(1)
  assert.equal(attempt.request_id, id)
  assert.equal(attempt.request_digest, null)
  assert.equal(outcome.bytes_in, body.length)
  assert.equal(await disclosedDigest('outcome', id), digestOf(body))
})

test('a chunked body stays chunked, and is hashed too', async () => {
  const chunks = Array.from({ length: 9 }, () => randomBytes(70_000))
  const { status, headers } = await upload(chunks)
  assert.equal(status, 200)
  assert.equal(seen[0]?.headers['transfer-encoding'], 'chunked')
  assert.ok(seen[0]?.body.equals(Buffer.concat(chunks)))
  const id = headers.get('okoro-request-id')
  assert.equal(await disclosedDigest('outcome', id), digestOf(Buffer.concat(chunks)))
})

test('a short body is held: its digest is in the attempt, and nowhere else', async () => {
  const body = randomBytes(65_536)
  const { headers } = await upload(body)
  const id = headers.get('okoro-request-id')
  assert.equal(await disclosedDigest('attempt', id), digestOf(body))
  assert.equal((await recorded(1)).outcome.request_digest, null)
  assert.ok(seen[0]?.body.equals(body))
})

test('a request without a body has none, and no digest', async () => {
  const response = await fetch(`http://127.0.0.1:${house.port}/p/forge/repos/ada/engine`, {
    headers: { authorization: `Bearer ${await token()}` },
  })
  assert.equal(response.status, 200)
  await response.text()
  assert.equal(seen[0]?.headers['content-length'], undefined)
  assert.equal(seen[0]?.headers['transfer-encoding'], undefined)
  assert.equal((await recorded(1)).attempt.request_digest, null)
})

test('the attempt is durable before the first byte of the body is asked for', async () => {
  const { socket, text, closed } = await open()
  socket.write(await head('Content-Length: 100000', 'Expect: 100-continue'))
  await eventually(async () => (text().includes('100 Continue') ? true : undefined))
  const { decision, request_digest } = (await house.records()).at(-1) ?? {}
  assert.deepEqual([decision, request_digest], ['allow', null])
  socket.write(Buffer.alloc(100_000, 'a'))
  await eventually(async () => (/HTTP\/1\.1 200/.test(text()) ? true : undefined))
  assert.equal(seen[0]?.headers.expect, undefined)
  assert.equal(seen[0]?.body.length, 100_000)
  socket.destroy()
  await closed
})

test('what is refused is never invited, and the connection ends', async () => {
  const { socket, text, closed } = await open()
  const lines = await head('Content-Length: 100000', 'Expect: 100-continue')
  socket.write(lines.replace('/uploads/', '/nowhere'))
  await closed
  assert.match(text(), /^HTTP\/1\.1 403/)
  assert.match(text(), /connection: close/i)
  assert.ok(!text().includes('100 Continue'))
  assert.equal(arrived, 0)
})

test('an announced length over the limit is refused before anything is recorded as sent', async () => {
  const { socket, text, closed } = await open()
  socket.write(await head(`Content-Length: ${maxBodyBytes + 1}`))
  await closed
  assert.match(text(), /^HTTP\/1\.1 413/)
  assert.equal((await house.records()).at(-1)?.reason, 'payload_too_large')
  assert.equal(arrived, 0)
})

test('a chunked body over the limit is 413, and never whole at the provider', async () => {
  const { socket, text, closed } = await open()
  socket.write(await head('Transfer-Encoding: chunked'))
  const chunk = Buffer.alloc(1_000_000, 'b')
  for (let sent = 0; sent <= maxBodyBytes / chunk.length; sent += 1)
    socket.write(`f4240\r\n${chunk.toString()}\r\n`)
  await closed
  assert.match(text(), /^HTTP\/1\.1 413/)
  const { outcome } = await recorded(1)
  assert.equal(outcome.error, 'payload_too_large')
  assert.ok(Number(outcome.bytes_in) <= maxBodyBytes)
  assert.equal(outcome.request_digest, null)
  await eventually(async () => (seen.length > 0 ? true : undefined))
  assert.equal(seen[0]?.isWhole, false)
})

test('a body that stands still is 408, and never whole at the provider', async () => {
  const { socket, text, closed } = await open()
  socket.write(await head('Content-Length: 100000'))
  socket.write(Buffer.alloc(1_000, 'c'))
  await closed
  assert.match(text(), /^HTTP\/1\.1 408/)
  const { outcome } = await recorded(1)
  assert.deepEqual([outcome.error, outcome.bytes_in], ['request_timeout', 1_000])
  await eventually(async () => (seen.length > 0 ? true : undefined))
  assert.equal(seen[0]?.isWhole, false)
})

test('a short body that stands still is 408, too, and nothing arrives', async () => {
  const { socket, text, closed } = await open()
  socket.write(await head('Content-Length: 10'))
  socket.write('half')
  await closed
  assert.match(text(), /^HTTP\/1\.1 408/)
  assert.equal((await house.records()).at(-1)?.reason, 'request_timeout')
  assert.equal(arrived, 0)
})

for (const [name, framing, part] of [
  ['with a length', 'Content-Length: 100000', 'd'.repeat(50_000)],
  ['chunked', 'Transfer-Encoding: chunked', `3e8\r\n${'d'.repeat(1_000)}\r\n`],
] as const) {
  test(`an agent that goes away in the middle, ${name}, leaves no whole body`, async () => {
    const before = await attempts()
    const { socket, closed } = await open()
    socket.write(await head(framing))
    socket.write(part)
    await eventually(async () => (arrived > 0 ? true : undefined))
    socket.destroy()
    await closed
    assert.equal((await recorded(before + 1)).outcome.error, 'client_gone')
    await eventually(async () => (seen.length > 0 ? true : undefined))
    assert.equal(seen[0]?.isWhole, false)
  })
}

test('a broken chunk ends the call without a message that no outcome stands for', async () => {
  const before = await attempts()
  const { socket, text, closed } = await open()
  socket.write(await head('Transfer-Encoding: chunked'))
  socket.write(`3e8\r\n${'e'.repeat(1_000)}\r\n`)
  await eventually(async () => (arrived > 0 ? true : undefined))
  socket.write('zz\r\n')
  await closed
  assert.equal(text(), '')
  assert.equal((await recorded(before + 1)).outcome.error, 'client_gone')
  await eventually(async () => (seen.length > 0 ? true : undefined))
  assert.equal(seen[0]?.isWhole, false)
})

test('trailers end at the gateway, and the body before them is whole', async () => {
  const { socket, text, closed } = await open()
  socket.write(await head('Transfer-Encoding: chunked', 'Trailer: X-Sum'))
  socket.write('5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n')
  await eventually(async () => (text().includes('{"ok":true}') ? true : undefined))
  assert.match(text(), /^HTTP\/1\.1 200/)
  assert.equal(seen[0]?.body.toString(), 'hello')
  assert.deepEqual({ ...seen[0]?.trailers }, {})
  assert.equal(seen[0]?.headers.trailer, undefined)
  socket.destroy()
  await closed
})

test('a provider that answers before the body has come is heard, and the connection ends', async () => {
  behaviour = (_request, response) => {
    response.writeHead(422, { 'content-type': 'text/plain' }).end('no, thank you')
  }
  const before = await attempts()
  const { socket, text, closed } = await open()
  socket.write(await head('Content-Length: 1000000'))
  socket.write(Buffer.alloc(1_000, 'f'))
  await closed
  assert.match(text(), /^HTTP\/1\.1 422/)
  assert.match(text(), /connection: close/i)
  assert.ok(text().endsWith('no, thank you') || text().includes('no, thank you'))
  const { outcome } = await recorded(before + 1)
  assert.deepEqual([outcome.status, outcome.error, outcome.request_digest], [422, null, null])
})

test('a provider that resets in the middle is upstream_invalid, and the call may have arrived', async () => {
  behaviour = (request) => void request.once('data', () => request.socket.resetAndDestroy())
  const before = await attempts()
  const { socket, text, closed } = await open()
  socket.write(await head('Content-Length: 1000000'))
  socket.write(Buffer.alloc(200_000, 'g'))
  await closed
  assert.match(text(), /^HTTP\/1\.1 502/)
  assert.match(text(), /"may_have_arrived":true/)
  assert.equal((await recorded(before + 1)).outcome.error, 'upstream_invalid')
})

test('a slow provider slows the agent: the gateway does not fill up with the body', async () => {
  const letGo = Promise.withResolvers<void>()
  behaviour = (request, response) => {
    request.pause()
    void letGo.promise.then(() => request.resume())
    request.on('end', () => response.end('ok'))
  }
  const { socket, text, closed } = await open()
  const body = Buffer.alloc(maxBodyBytes, 'h')
  socket.write(await head(`Content-Length: ${body.length}`))
  socket.write(body)
  await eventually(async () => (arrived > 0 ? true : undefined))
  await new Promise((resolve) => setTimeout(resolve, 200))
  assert.ok(socket.writableLength > 0 || socket.bytesWritten < body.length)
  letGo.resolve()
  await eventually(async () => (/HTTP\/1\.1 200/.test(text()) ? true : undefined))
  assert.equal((await recorded(1)).outcome.bytes_in, body.length)
  socket.destroy()
  await closed
})

test('a streamed body is not sent again: the agent gets the 401, the next call a new token', async () => {
  behaviour = (request, response) => {
    const isOld = request.headers.authorization === `Bearer access-${used}`
    request.resume()
    request.on('end', () => {
      response.statusCode = isOld ? 401 : 200
      response.end()
    })
  }
  const used = accessTokens
  const first = await upload(randomBytes(100_000))
  assert.equal(first.status, 401)
  assert.equal(arrived, 1)
  assert.equal(accessTokens, used + 1)
  assert.equal((await upload(randomBytes(100_000))).status, 200)
  assert.equal(accessTokens, used + 1)
  const held = await upload(randomBytes(10))
  assert.equal(held.status, 200)
})

test('a held body is sent again after an expired token', async () => {
  const used = accessTokens
  behaviour = (request, response) => {
    const isOld = request.headers.authorization === `Bearer access-${used}`
    request.resume()
    request.on('end', () => {
      response.statusCode = isOld ? 401 : 200
      response.end()
    })
  }
  assert.equal((await upload(randomBytes(1_000))).status, 200)
  assert.equal(arrived, 2)
  assert.ok(seen[0]?.body.equals(seen[1]?.body ?? Buffer.alloc(0)))
})

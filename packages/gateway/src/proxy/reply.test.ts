import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import { connect } from 'node:net'
import { after, test } from 'node:test'
import type { AuthorizedRequest } from '../words.ts'
import { createUpstream, isFailure } from './forward.ts'
import { Hangup } from './hangup.ts'
import { peek, type Returned, reply } from './reply.ts'

/** P2 over real sockets: a provider, this room, and an agent that counts the bytes it has. */

const upstream = createUpstream({ connectMs: 1_000, connections: 8 })
after(() => upstream.close())

async function listening(listener: RequestListener): Promise<number> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  after(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  return typeof address === 'object' && address ? address.port : 0
}

/** What an agent has received while the outcome is not durable, and in the end. */
async function returned(provider: RequestListener, settle: (gate: Promise<void>) => Promise<void>) {
  const origin = `http://127.0.0.1:${await listening(provider)}`
  const gate = Promise.withResolvers<void>()
  const settling = Promise.withResolvers<Returned>()
  const port = await listening(async (_request, response) => {
    const composed = {
      ...{ provider: 'any', agentMethod: 'POST', method: 'POST', origin, path: '/' },
      ...{ query: null, headers: [], body: null, action: null },
    }
    const request = { composed, query: null, headers: [], requestId: 'r', attemptNo: 1 }
    const answer = await upstream.forward(request as unknown as AuthorizedRequest, {
      ...{ firstByteMs: 5_000, idleMs: 5_000, hangup: new Hangup(), stream: null },
    })
    if (isFailure(answer)) throw new Error(answer.error)
    const peeked = {
      ...(await peek(answer, null, { heldStatuses: new Set() })),
      headers: answer.rawHeaders,
      idleMs: 50_000,
    }
    await reply(peeked, response, async (how) => {
      settling.resolve(how)
      await settle(gate.promise)
    })
  })
  let text = ''
  const ended = new Promise<string>((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    })
    socket.on('data', (chunk) => {
      text += chunk.toString()
    })
    socket.on('close', () => resolve(text))
  })
  const how = await settling.promise
  await new Promise((resolve) => setTimeout(resolve, 50))
  const before = text
  gate.resolve()
  return { before, after: await ended, how }
}

const wait = (gate: Promise<void>) => gate
const fail = async () => {
  throw new Error('the disk is full')
}
const body = (text: string) => text.slice(text.indexOf('\r\n\r\n') + 4)

test('with a length, the message is not whole before its outcome is durable', async () => {
  const { before, after, how } = await returned((_request, response) => {
    response.writeHead(200, { 'content-length': '10' })
    response.write('01234')
    setTimeout(() => response.end('56789'), 20)
  }, wait)
  assert.ok(body(before).length < 10, before)
  assert.equal(body(after), '0123456789')
  assert.deepEqual(how, { bytesOut: 10, error: null })
})

test('chunked, neither the terminator nor the newest chunk is there before', async () => {
  const { before, after } = await returned((_request, response) => {
    response.write('first')
    setTimeout(() => response.end('second'), 20)
  }, wait)
  assert.ok(!before.includes('second') && !before.includes('\r\n0\r\n'), before)
  assert.match(after, /first\r\n.*second\r\n0\r\n\r\n$/s)
})

test('without a body, the head is held', async () => {
  const { before, after } = await returned((_request, response) => {
    response.writeHead(204).end()
  }, wait)
  assert.equal(before, '')
  assert.match(after, /^HTTP\/1.1 204/)
})

test('of an event stream each event passes at once, and its end is held', async () => {
  const { before, after } = await returned((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('data: 1\n\n')
    setTimeout(() => response.end('data: 2\n\n'), 20)
  }, wait)
  assert.match(before, /data: 1.*data: 2/s)
  assert.ok(!before.endsWith('0\r\n\r\n'))
  assert.ok(after.endsWith('0\r\n\r\n'))
})

test('an event stream with a length has a last byte, and that is held', async () => {
  const events = 'data: 1\n\ndata: 2\n\n'
  const { before, after } = await returned((_request, response) => {
    response.writeHead(200, {
      ...{ 'content-type': 'text/event-stream', 'content-length': `${events.length}` },
    })
    response.end(events)
  }, wait)
  assert.ok(body(before).length < events.length, before)
  assert.equal(body(after), events)
})

test('when the outcome cannot be written the message is cut', async () => {
  const { after } = await returned((_request, response) => {
    response.writeHead(200, { 'content-length': '10' })
    response.end('0123456789')
  }, fail)
  assert.ok(body(after).length < 10, after)
  const chunked = await returned((_request, response) => void response.end('all of it'), fail)
  assert.ok(!chunked.after.includes('\r\n0\r\n'), chunked.after)
})

test('an agent that goes away while its answer is paused leaves its socket to the next call', async () => {
  const narrow = createUpstream({ connectMs: 5_000, connections: 1 })
  after(() => narrow.close())
  let sent = 0
  const origin = `http://127.0.0.1:${await listening((_request, response) => {
    sent += 1
    response.end(sent === 1 ? Buffer.alloc(50_000_000, 'a') : 'short')
  })}`
  const ended: Returned[] = []
  const isPaused = Promise.withResolvers<void>()
  const port = await listening(async (_request, response) => {
    const composed = {
      ...{ provider: 'any', agentMethod: 'GET', method: 'GET', origin, path: '/' },
      ...{ query: null, headers: [], body: null, action: null },
    }
    const request = { composed, query: null, headers: [], requestId: 'r', attemptNo: 1 }
    const answer = await narrow.forward(request as unknown as AuthorizedRequest, {
      ...{ firstByteMs: 50_000, idleMs: 50_000, hangup: new Hangup(), stream: null },
    })
    if (isFailure(answer)) throw new Error(answer.error)
    const look = setInterval(() => response.writableNeedDrain && isPaused.resolve(), 5)
    const peeked = {
      ...(await peek(answer, null, { heldStatuses: new Set() })),
      headers: answer.rawHeaders,
      idleMs: 50_000,
    }
    await reply(peeked, response, async (how) => void ended.push(how))
    clearInterval(look)
  })
  const leaving = connect(port, '127.0.0.1', () => {
    leaving.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  })
  leaving.pause()
  await isPaused.promise
  leaving.destroy()
  const next = await fetch(`http://127.0.0.1:${port}/`)
  assert.equal(await next.text(), 'short')
  assert.deepEqual(
    ended.map(({ error }) => error),
    ['client_gone', null],
  )
})

/** What `peek` makes of an answer whose parts come one after the other. */
async function peeked(parts: readonly string[], heldStatuses: readonly number[]) {
  const last = Promise.withResolvers<void>()
  const origin = `http://127.0.0.1:${await listening(async (_request, response) => {
    for (const part of parts.slice(0, -1)) response.write(part)
    await last.promise
    response.end(parts.at(-1))
  })}`
  const composed = {
    ...{ provider: 'any', agentMethod: 'POST', method: 'POST', origin, path: '/' },
    ...{ query: null, headers: [], body: null, action: null },
  }
  const request = { composed, query: null, headers: [], requestId: 'r', attemptNo: 1 }
  const answer = await upstream.forward(request as unknown as AuthorizedRequest, {
    ...{ firstByteMs: 5_000, idleMs: 5_000, hangup: new Hangup(), stream: null },
  })
  if (isFailure(answer)) throw new Error(answer.error)
  const envelope = { status: '/status', message: '/error', ok: [0], expired: [401] }
  const peeking = Promise.resolve(peek(answer, envelope, { heldStatuses: new Set(heldStatuses) }))
  return { peeking, finish: last.resolve }
}

test('an agent that leaves an answer unread is hung up on, and the provider’s socket is free', async () => {
  const ended: Returned[] = []
  const origin = `http://127.0.0.1:${await listening((_request, response) => {
    const more = () => void (response.destroyed || response.write(Buffer.alloc(65_536), more))
    more()
  })}`
  const port = await listening(async (_request, response) => {
    const composed = {
      ...{ provider: 'any', agentMethod: 'GET', method: 'GET', origin, path: '/' },
      ...{ query: null, headers: [], body: null, action: null },
    }
    const request = { composed, query: null, headers: [], requestId: 'r', attemptNo: 1 }
    const answer = await upstream.forward(request as unknown as AuthorizedRequest, {
      ...{ firstByteMs: 50_000, idleMs: 50_000, hangup: new Hangup(), stream: null },
    })
    if (isFailure(answer)) throw new Error(answer.error)
    const peeked = {
      ...(await peek(answer, null, { heldStatuses: new Set() })),
      ...{ headers: answer.rawHeaders, idleMs: 100 },
    }
    await reply(peeked, response, async (how) => void ended.push(how))
  })
  const lazy = connect(port, '127.0.0.1', () => lazy.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'))
  lazy.on('error', () => {})
  lazy.pause()
  for (let left = 500; left > 0 && ended.length === 0; left -= 1) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  assert.equal(ended[0]?.error, 'client_gone')
  lazy.destroy()
})

test('an answer that means success is not held for its end', async () => {
  const { peeking, finish } = await peeked(['{"status":0,"body":{"a":1', '}}'], [601])
  const { whole, chunks } = await peeking
  assert.equal(whole, null)
  assert.ok(chunks.length > 0)
  finish()
})

test('an answer whose text matters is held to its end', async () => {
  const { peeking, finish } = await peeked(['{"status":601,"error":"Sa', 'me"}'], [601])
  let isSettled = false
  void Promise.resolve(peeking).then(() => {
    isSettled = true
  })
  await new Promise((resolve) => setTimeout(resolve, 100))
  assert.equal(isSettled, false)
  finish()
  assert.equal(String((await peeking).whole), '{"status":601,"error":"Same"}')
})

test('one that is too large to hold passes, and its text stays unknown', async () => {
  const { peeking, finish } = await peeked(
    [`{"status":601,"a":"${'x'.repeat(70_000)}`, '"}'],
    [601],
  )
  assert.equal((await peeking).whole, null)
  finish()
})

import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { closeServer, createDoor, listenOn } from './listen.ts'

let served = 0
const door = createDoor({
  publicUrl: () => 'http://gateway.test',
  nextRequestId: () => 'req_1',
  serve: (request, response) => {
    served += 1
    request.resume()
    response.end('served')
  },
})
let port = 0
before(async () => {
  port = await listenOn(door, { host: '127.0.0.1', port: 0, setting: 'OKORO_PORT' })
})
after(() => closeServer(door, 0))

/** Sends bytes, and gives back all that came until the other side hung up. */
const exchange = (bytes: string) =>
  new Promise<string>((resolve, reject) => {
    let answer = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes, 'latin1'))
    socket.setTimeout(3_000, () => socket.destroy(new Error(`still open after: ${answer}`)))
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1')
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(answer))
  })

const refused: readonly (readonly [name: string, bytes: string, code: string, status: number])[] = [
  ['two hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 'bad_framing', 400],
  ['no host', 'GET / HTTP/1.1\r\n\r\n', 'bad_framing', 400],
  ['a host with a space', 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n', 'bad_framing', 400],
  ['the absolute form', 'GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_framing', 400],
  ['a fragment', 'GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_framing', 400],
  [
    'identity before chunked',
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n',
    'bad_framing',
    400,
  ],
  [
    'two transfer codings',
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'bad_framing',
    400,
  ],
  [
    'transfer coding with a length',
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n',
    'bad_framing',
    400,
  ],
  [
    'two lengths',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
    'bad_framing',
    400,
  ],
  [
    'a length that is no number',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc',
    'bad_framing',
    400,
  ],
  [
    'a body in HTTP/1.0',
    'POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc',
    'bad_framing',
    400,
  ],
  ['no HTTP at all', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n', 'bad_framing', 400],
  ['a folded header', 'GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n', 'bad_framing', 400],
  ['a name with a space', 'GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n', 'bad_framing', 400],
  [
    'a header section of 20 KiB',
    `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
    'headers_too_large',
    431,
  ],
  [
    'two hundred header lines',
    `GET / HTTP/1.1\r\nHost: a\r\n${'X: 1\r\n'.repeat(200)}\r\n`,
    'headers_too_large',
    431,
  ],
  [
    'an upgrade',
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
    'method_not_allowed',
    405,
  ],
  ['CONNECT', 'CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n', 'method_not_allowed', 405],
  ['TRACE', 'TRACE / HTTP/1.1\r\nHost: a\r\n\r\n', 'method_not_allowed', 405],
]

for (const [name, bytes, code, status] of refused) {
  test(`${name} is refused with ${code}, and the socket is closed`, async () => {
    const before = served
    const answer = await exchange(bytes)
    assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `))
    assert.match(answer, new RegExp(`okoro-error: ${code}\r\n`, 'i'))
    assert.equal(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))).error, code)
    assert.equal(served, before)
  })
}

test('what follows a refused request on its connection is never served', async () => {
  const before = served
  await exchange(
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n',
  )
  assert.equal(served, before)
})

test('a well-framed request is served', async () => {
  const answer = await exchange('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  assert.match(answer, /^HTTP\/1.1 200 /)
})

test('a taken port is one line that names the setting', async () => {
  const second = createDoor({
    publicUrl: () => '',
    nextRequestId: () => '',
    serve: () => {},
  })
  await assert.rejects(listenOn(second, { host: '127.0.0.1', port, setting: 'OKORO_PORT' }), {
    message: `Port ${port} on 127.0.0.1 is taken: end what uses it or set OKORO_PORT to another one.`,
  })
})

import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

export type Called = {
  readonly method: string
  readonly target: string
  readonly type: string | undefined
  readonly form: Readonly<Record<string, string>>
}

type Answering = (response: ServerResponse, called: Called) => void

/** For tests: an application's callback URL on loopback, which answers 204 until told otherwise. */
export async function openCallback() {
  const calls: Called[] = []
  let answer: Answering = (response) => response.writeHead(204).end()
  const server = createServer(async (request, response) => {
    const called = {
      method: request.method ?? '',
      target: request.url ?? '',
      type: request.headers['content-type'],
      form: Object.fromEntries(new URLSearchParams(await text(request))),
    }
    calls.push(called)
    answer(response, called)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/hook?secret=s1`,
    port,
    /** Everything that was sent here, in order. */
    calls,
    posts: () => calls.filter(({ method }) => method === 'POST'),
    answerWith: (it: Answering) => {
      answer = it
    },
    [Symbol.asyncDispose]: async () => {
      server.close()
      server.closeAllConnections()
    },
  }
}

export function status(http: number): Answering {
  return (response) => response.writeHead(http).end()
}

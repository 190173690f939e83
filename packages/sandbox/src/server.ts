import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { call } from './api/routes.ts'
import type { Faults } from './control/faults.ts'
import type { ReceivedLog } from './control/received.ts'
import { readBody } from './http/body.ts'
import { misbehave } from './http/misbehave.ts'
import { envelope, type Reply, send } from './http/reply.ts'
import { type Parsed, parseRequest, splitOnce } from './http/request.ts'
import { answerConsent, showConsent } from './oauth/authorize.ts'
import type { World } from './world.ts'

export type Listening = {
  readonly world: World
  readonly received: ReceivedLog
  readonly faults: Faults
}

/** The provider's own URL space: the API host and the account host on one origin. */
export function createApiServer(listening: Listening): Server {
  const server = createServer((request, response) => {
    handle(request, response, listening).catch((error: unknown) => {
      if (!request.destroyed) console.error(error)
      response.destroy()
    })
  })
  // Longer than a gateway's pool keeps idle connections, so that the sandbox never closes first.
  server.keepAliveTimeout = 65_000
  return server
}

/** Reads, remembers, then answers: by a waiting fault when there is one. */
async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  { world, received, faults }: Listening,
): Promise<void> {
  const body = await readBody(request)
  const entry = received.add(request, body ?? '', world.wallMs())
  const parsed = parseRequest(request, body ?? '')
  const [path] = splitOnce(request.url ?? '', '?')
  const fault = faults.take(path, parsed.ok ? parsed.request.params.get('action') : undefined)
  const genuine = async () =>
    body === null ? tooLarge : await answer({ request, body, parsed }, world)
  if (fault !== null) {
    entry.fault = fault.kind
    received.write(entry)
    entry.status = await misbehave(response, fault, genuine)
    return
  }
  const reply = await genuine()
  entry.status = reply.status
  received.write(entry)
  send(response, reply)
}

type Incoming = {
  readonly request: IncomingMessage
  readonly body: string
  readonly parsed: Parsed
}

async function answer({ request, body, parsed }: Incoming, world: World): Promise<Reply> {
  const [path, search] = splitOnce(request.url ?? '', '?')
  if (path === '/oauth2_user/authorize2') {
    if (request.method === 'GET') return showConsent(new URLSearchParams(search), world)
    if (request.method === 'POST') return answerConsent(new URLSearchParams(body), world)
  }
  return envelope(parsed.ok ? await call(parsed.request, world) : parsed.answer)
}

const tooLarge: Reply = { status: 413, http: 413, headers: { connection: 'close' }, body: '' }

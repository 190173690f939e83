import { createServer, type IncomingMessage, type Server } from 'node:http'
import { whole } from '../api/params.ts'
import { register } from '../applications.ts'
import { readBody } from '../http/body.ts'
import { type Reply, send } from '../http/reply.ts'
import { splitOnce } from '../http/request.ts'
import { isRecord } from '../json.ts'
import { describeLimits, parseLimits } from '../limits/settings.ts'
import type { Listening } from '../server.ts'
import { makeHappen } from './events.ts'
import { parseFaults } from './faults.ts'
import { KEPT } from './received.ts'
import { describeState } from './report.ts'

/** The tests' own door: what came in, the clock, the tokens, the faults. JSON both ways. */
export function createControlServer(listening: Listening): Server {
  return createServer((request, response) => {
    obey(request, listening)
      .then((reply) => send(response, reply))
      .catch((error: unknown) => {
        if (!request.destroyed) console.error(error)
        response.destroy()
      })
  })
}

type Input = Readonly<Record<string, unknown>>
type Command = (
  listening: Listening,
  input: Input,
  query: URLSearchParams,
) => Reply | Promise<Reply>

const commands: Readonly<Record<string, Command>> = {
  'GET /received': showReceived,
  'DELETE /received': ({ received }) => {
    received.clear()
    return done({})
  },
  'POST /clock': advanceClock,
  'POST /expire': expire,
  'POST /events': event,
  'GET /deliveries': showDeliveries,
  'POST /applications': registerApplication,
  'GET /state': ({ world }) => done(describeState(world)),
  'GET /limits': ({ world }) => done(describeLimits(world.limits.settings)),
  'POST /limits': changeLimits,
  'GET /faults': ({ faults }) => done({ faults: faults.all() }),
  'POST /faults': ({ faults }, input) => {
    const read = parseFaults(input)
    if (typeof read === 'string') return bad(read)
    faults.add(read)
    return done({})
  },
  'DELETE /faults': ({ faults }) => {
    faults.clear()
    return done({})
  },
}

/** All that are kept, or the next `limit` behind the one numbered `after`. */
function showReceived({ received }: Listening, _: Input, query: URLSearchParams): Reply {
  const after = whole(query.get('after') ?? '0')
  const limit = whole(query.get('limit') ?? `${KEPT}`)
  if (after === null || limit === null) return bad('after and limit must be whole numbers')
  return done({ requests: received.page({ after, limit }) })
}

/** Answers once every delivery that has become due was tried. */
async function advanceClock({ world }: Listening, input: Input): Promise<Reply> {
  const { advance_seconds: seconds } = input
  if (typeof seconds !== 'number' || !Number.isSafeInteger(seconds) || seconds < 0) {
    return bad('advance_seconds must be a whole number from 0 on')
  }
  world.state.advanceSeconds += seconds
  world.state.save()
  await world.deliveries.run()
  return done({ now: world.now(), advanced_seconds: world.state.advanceSeconds })
}

async function event({ world }: Listening, input: Input): Promise<Reply> {
  const happened = await makeHappen(world, input)
  return typeof happened === 'string' ? bad(happened) : done(happened)
}

function showDeliveries({ world: { state, deliveries } }: Listening): Reply {
  const waiting = state.deliveries.map(({ id, to, form, tries, dueAt }) => ({
    ...{ delivery: id, callbackurl: to.callbackUrl, appli: to.appli },
    ...{ form, tries, due_at: dueAt },
  }))
  return done({ waiting, tries: deliveries.tries })
}

function expire({ world: { state, now } }: Listening, { tokens, subscriptions }: Input): Reply {
  const isToken = tokens === 'access' || tokens === 'refresh' || tokens === 'all'
  if (tokens !== undefined && !isToken) return bad('tokens must be "access", "refresh" or "all"')
  if (subscriptions !== undefined && subscriptions !== 'all') {
    return bad('subscriptions must be "all"')
  }
  if (tokens === undefined && subscriptions === undefined) {
    return bad('say which tokens or subscriptions expire')
  }
  if (isToken) state.tokens.expire(tokens, now())
  if (subscriptions === 'all') {
    state.subscriptions = state.subscriptions.map((it) => ({ ...it, expiresAt: now() }))
  }
  state.save()
  return done({})
}

function changeLimits({ world: { limits } }: Listening, input: Input): Reply {
  const changes = parseLimits(input)
  if (typeof changes === 'string') return bad(changes)
  limits.settings = { ...limits.settings, ...changes }
  return done(describeLimits(limits.settings))
}

function registerApplication({ world }: Listening, input: Input): Reply {
  const { client_id: clientId, client_secret: clientSecret, redirect_uris: redirectUris } = input
  if (typeof clientId !== 'string' || typeof clientSecret !== 'string' || !isTexts(redirectUris)) {
    return bad('client_id and client_secret must be texts, redirect_uris a list of texts')
  }
  const complaint = register(world, { clientId, clientSecret, redirectUris })
  return complaint === null ? done({}) : bad(complaint)
}

async function obey(request: IncomingMessage, listening: Listening): Promise<Reply> {
  // A web page may reach loopback from a browser on this machine; a test is no web page.
  if (request.headers.origin !== undefined) return json(403, { error: 'not for browsers' })
  const body = await readBody(request)
  const [path, search] = splitOnce(request.url ?? '', '?')
  const name = `${request.method} ${path}`
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) return json(404, { error: `no such command: ${name}` })
  const input = parseInput(body)
  if (input === null) return bad('the body must be a JSON object')
  return await command(listening, input, new URLSearchParams(search))
}

/** All that the control listener understands, as `METHOD /path`. */
export const commandNames: readonly string[] = Object.keys(commands)

function parseInput(body: string | null): Input | null {
  if (body === null) return null
  try {
    const value: unknown = JSON.parse(body === '' ? '{}' : body)
    return isRecord(value) ? value : null
  } catch {
    return null
  }
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

function done(body: unknown): Reply {
  return json(200, body)
}

function bad(error: string): Reply {
  return json(400, { error })
}

function json(http: number, body: unknown): Reply {
  const headers = { 'content-type': 'application/json' }
  return { status: http, http, headers, body: JSON.stringify(body) }
}

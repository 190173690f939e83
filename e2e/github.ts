import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { freePort } from '../packages/gateway/src/store/testing.ts'
import { folder, start } from './gateway.ts'

/**
 * A stand-in for GitHub: the npm package `emulate`, and in front of it a hop that asserts what
 * emulate does not care about. The hop takes one credential in one slot, keeps everything that it
 * saw, and adds what real GitHub does and emulate does not.
 */
export type GitHub = {
  readonly url: string
  /** The only credential that is taken at the moment. */
  readonly credential: string
  /** Makes the credential invalid; returns the one that is taken from now on. */
  replaceCredential(): string
  /** Every credential that was ever taken. */
  readonly credentials: readonly string[]
  /** Everything that ever arrived. */
  readonly all: readonly Seen[]
  /** What arrived since `forget`. */
  readonly seen: readonly Seen[]
  forget(): void
  close(): Promise<void>
}

export type Seen = {
  readonly method: string
  readonly target: string
  /** Name, value, name, value … as they came. */
  readonly rawHeaders: readonly string[]
  readonly body: string
}

/** The path that answers 401 whatever the credential: an endpoint that is odd about its login. */
export const oddPath = '/rate_limit'

const newCredential = () => `github_pat_${randomBytes(20).toString('hex')}`

/** With the repositories `engine` and `notes` of `ada`: a file, three issues and a label. */
export async function startGitHub(): Promise<GitHub> {
  const emulate = await startEmulate()
  const all: Seen[] = []
  const credentials = [newCredential()]
  let from = 0
  const server = createServer(async (incoming, response) => {
    const body = await text(incoming)
    const { method = '', url: target = '', rawHeaders } = incoming
    all.push({ method, target, rawHeaders, body })
    const objection = objectionTo(incoming, newest(credentials))
    if (objection) return answer(response, objection)
    const given = await emulate.call({ method, target, headers: headersFor(incoming), body })
    answer(response, asGitHub(incoming, given))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  return {
    url: `http://127.0.0.1:${port}`,
    ...{ all, credentials },
    get credential() {
      return newest(credentials)
    },
    replaceCredential: () => {
      credentials.push(newCredential())
      return newest(credentials)
    },
    get seen() {
      return all.slice(from)
    },
    forget: () => {
      from = all.length
    },
    close: async () => {
      server.closeAllConnections()
      server.close()
      await emulate.close()
    },
  }
}

const newest = (credentials: readonly string[]): string => credentials.at(-1) ?? ''

type Answer = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const refusal = (status: number, message: string): Answer => ({
  ...{ status, headers: { 'content-type': 'application/json; charset=utf-8' } },
  body: JSON.stringify({ message, documentation_url: 'https://docs.github.com/rest' }),
})

/** What GitHub itself would refuse, and emulate would not. */
function objectionTo(incoming: IncomingMessage, credential: string): Answer | null {
  const { authorization = [], 'user-agent': agents = [] } = incoming.headersDistinct
  const isOdd = incoming.url === oddPath
  if (isOdd || authorization.length !== 1 || authorization[0] !== `Bearer ${credential}`) {
    return refusal(401, 'Bad credentials')
  }
  if (agents.length === 0) return refusal(403, 'Request forbidden by administrative rules.')
  return incoming.url?.startsWith('/repositories/') ? refusal(404, 'Not Found') : null
}

/** Emulate makes its links out of the Host header; hop-by-hop headers stay here. */
function headersFor({ headers }: IncomingMessage): Record<string, string> {
  const { host = '', authorization = '', accept = '*/*', 'content-type': type } = headers
  return { host, authorization, accept, ...(type !== undefined && { 'content-type': type }) }
}

/** What GitHub does and emulate does not: pages by the repository's number, ETags, 304, Location. */
function asGitHub({ method, url = '', headers }: IncomingMessage, given: Answer): Answer {
  const link = given.headers.link?.replaceAll(/\/repos\/[^/]+\/[^/]+\//g, '/repositories/1300192/')
  const made = given.status === 201 ? URL.parse(JSON.parse(given.body).url) : null
  const etag = `W/"${Buffer.from(`${url}${given.body.length}`).toString('base64url')}"`
  const added = {
    ...given.headers,
    ...(link !== undefined && { link }),
    ...(made && { location: `http://${headers.host}${made.pathname}` }),
    ...(method === 'GET' && given.status === 200 && { etag }),
  }
  const isKnown = method === 'GET' && given.status === 200 && headers['if-none-match'] === etag
  return isKnown ? { status: 304, headers: { etag }, body: '' } : { ...given, headers: added }
}

function answer(response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, headers).end(body === '' ? undefined : body)
}

type Call = {
  readonly method: string
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

async function startEmulate() {
  const place = folder()
  const port = await freePort()
  const seed = `${place.path}/seed.json`
  const repo = (name: string) => ({ owner: 'ada', name, auto_init: true })
  // Emulate takes every token for the first account that it has.
  writeFileSync(
    seed,
    JSON.stringify({
      tokens: { any: { login: 'ada', scopes: ['repo', 'user'] } },
      github: { users: [{ login: 'ada' }], repos: [repo('engine'), repo('notes')] },
    }),
  )
  const options = ['-s', 'github', '-p', `${port}`, '--seed', seed]
  const emulate = await start(['node_modules/emulate/dist/index.js', 'start', ...options], {
    until: (output) => (output.includes('Ready.') ? true : null),
  })
  const call = (sent: Call) => callEmulate(port, sent)
  await fill(call)
  const close = async () => {
    await emulate.kill('SIGKILL')
    place.remove()
  }
  return { call, close }
}

async function fill(call: (sent: Call) => Promise<Answer>): Promise<void> {
  const make = async (method: string, target: string, body: object) => {
    const headers = { authorization: 'Bearer any', 'content-type': 'application/json' }
    const { status } = await call({ method, target, headers, body: JSON.stringify(body) })
    if (status !== 201) throw new Error(`${method} ${target}: ${status}`)
  }
  const content = Buffer.from('# Docs\n').toString('base64')
  await make('PUT', '/repos/ada/engine/contents/docs/a.md', { message: 'docs', content })
  await make('POST', '/repos/ada/engine/labels', { name: 'type: bug', color: 'd73a4a' })
  for (const title of ['one', 'two', 'three']) {
    await make('POST', '/repos/ada/engine/issues', { title, labels: ['type: bug'] })
  }
}

const callEmulate = (port: number, { method, target, headers, body }: Call): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const length = body === '' ? {} : { 'content-length': `${Buffer.byteLength(body)}` }
    const sent = request(
      { host: '127.0.0.1', port, method, path: target, headers: { ...headers, ...length } },
      async (incoming) => {
        const kept = ['content-type', 'link', 'x-ratelimit-limit', 'x-ratelimit-remaining']
        const found = kept.flatMap((name) => {
          const value = incoming.headers[name]
          return typeof value === 'string' ? [[name, value] as const] : []
        })
        const status = incoming.statusCode ?? 0
        resolve({ status, headers: Object.fromEntries(found), body: await text(incoming) })
      },
    )
    sent.once('error', reject)
    sent.end(body)
  })

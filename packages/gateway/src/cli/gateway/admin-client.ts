import { request } from 'node:http'
import { adminSocketPath } from '../../config/settings.ts'
import type { Config } from '../../config.ts'
import { Failure } from '../terminal/failure.ts'

/** The gateway, opened inside of this process. */
export type OpenedApp = {
  /** `/api/v1/…`, no listener needed. */
  admin(request: Request): Promise<Response>
  serve(): Promise<{ readonly publicUrl: string; readonly adminUrl: string }>
  close(): Promise<void>
}

export type OpenApp = (config: Config) => Promise<OpenedApp>

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'

/** `/api/v1` of this data folder's gateway. A refusal becomes a Failure with the gateway's words. */
export type AdminClient = {
  /** A gateway is running on this data folder; else this process has opened it for itself. */
  readonly isRunning: boolean
  /** Serves agents and browsers from this process; does nothing when a gateway is running. */
  serve(): Promise<void>
  call<T>(method: Method, path: string, body?: unknown): Promise<T>
  close(): Promise<void>
}

type Answer = { readonly status: number; readonly text: string }
type Send = (method: Method, path: string, body: string | null) => Promise<Answer>

/** Finds the gateway that runs on the data folder, or opens the folder in this process. */
export async function openAdminClient(config: Config, openApp: OpenApp): Promise<AdminClient> {
  if (await isGatewayRunning(config)) return adminOnSocket(config)
  // Its everyday lines would stand between the command's own.
  return adminOf(await openApp({ ...config, logLevel: quieter(config.logLevel) }))
}

/** The gateway that runs on the data folder; where there is none it says so and opens none. */
export async function runningAdmin(
  config: Pick<Config, 'dataDir'>,
  options: SocketOptions = {},
): Promise<AdminClient> {
  if (await isGatewayRunning(config)) return adminOnSocket(config, options)
  const message = `No gateway is running on ${config.dataDir}: start one with \`okoro serve\`.`
  throw new Failure('unreachable', message)
}

type SocketOptions = {
  /** Milliseconds without an answer after which the gateway counts as unreachable. */
  readonly timeoutMs?: number
  /** Drops what is under way. */
  readonly signal?: AbortSignal
}

const adminOnSocket = (
  { dataDir }: Pick<Config, 'dataDir'>,
  options: SocketOptions = {},
): AdminClient => ({
  isRunning: true,
  call: caller(sendTo(adminSocketPath(dataDir), options)),
  serve: async () => {},
  close: async () => {},
})

/** The admin API of a gateway that this very process has opened. */
export const adminOf = (app: OpenedApp): AdminClient => ({
  isRunning: false,
  call: caller(sendWithin(app)),
  serve: async () => {
    await app.serve()
  },
  close: () => app.close(),
})

/** Whether a gateway answers on the socket of this data folder. */
export async function isGatewayRunning({ dataDir }: Pick<Config, 'dataDir'>): Promise<boolean> {
  try {
    await sendTo(adminSocketPath(dataDir))('GET', '/api/v1/status', null)
    return true
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return false
    throw unreachable(error)
  }
}

/** All pages of a list, one after the other: however long it is, one page is held. */
export async function* itemsOf<T extends object>(
  admin: AdminClient,
  path: string,
): AsyncGenerator<T> {
  const separator = path.includes('?') ? '&' : '?'
  for (let cursor: string | null = ''; cursor !== null; ) {
    const query: string = cursor === '' ? '' : `${separator}cursor=${encodeURIComponent(cursor)}`
    type Items = { readonly items: readonly T[]; readonly next_cursor: string | null }
    const page: Items = await admin.call<Items>('GET', path + query)
    yield* page.items
    cursor = page.next_cursor
  }
}

/** A path segment out of what somebody typed. */
export const segment = (name: string): string => encodeURIComponent(name)

function sendTo(socketPath: string, { timeoutMs, signal }: SocketOptions = {}): Send {
  return (method, path, body) =>
    new Promise((resolve, reject) => {
      const headers = { host: 'localhost', ...(body !== null && json) }
      const options = { socketPath, method, path, headers, ...(signal && { signal }) }
      const outgoing = request(options, (incoming) => {
        const chunks: Buffer[] = []
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
        incoming.on('error', reject)
        incoming.on('end', () => {
          resolve({
            status: incoming.statusCode ?? 0,
            text: Buffer.concat(chunks).toString('utf8'),
          })
        })
      })
      outgoing.on('error', reject)
      if (timeoutMs !== undefined) {
        const error = new Error(`it did not answer within ${timeoutMs / 1000} s`)
        outgoing.setTimeout(timeoutMs, () => outgoing.destroy(error))
      }
      outgoing.end(body ?? undefined)
    })
}

const sendWithin =
  (app: OpenedApp): Send =>
  async (method, path, body) => {
    const init = body === null ? { method } : { method, body, headers: json }
    const response = await app.admin(new Request(`http://localhost${path}`, init))
    return { status: response.status, text: await response.text() }
  }

const json = { 'content-type': 'application/json' }

const caller =
  (send: Send): AdminClient['call'] =>
  async <T>(method: Method, path: string, body?: unknown): Promise<T> => {
    const text = body === undefined ? null : JSON.stringify(body)
    const answer = await send(method, `/api/v1${path}`, text).catch((error: unknown) => {
      throw unreachable(error)
    })
    if (answer.status < 400) return JSON.parse(answer.text)
    throw refusal(answer)
  }

function refusal({ status, text }: Answer): Failure {
  const problem = readProblem(text)
  const ending = status === 503 ? 'unreachable' : status >= 500 ? 'failed' : 'refused'
  if (!problem) return new Failure(ending, `The gateway answered ${status} and nothing readable.`)
  const reference = status >= 500 ? ` (request ${problem.request_id})` : ''
  return new Failure(ending, `${problem.message}${reference}`)
}

function readProblem(text: string): { message: string; request_id: string } | null {
  try {
    const problem = JSON.parse(text)
    return typeof problem?.message === 'string' ? problem : null
  } catch {
    return null
  }
}

const unreachable = (cause: unknown): Failure => {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new Failure('unreachable', `The gateway on this data folder can't be reached: ${why}`, {
    cause,
  })
}

/** For a process that has words of its own: warnings and worse. */
export const quieter = (level: Config['logLevel']): Config['logLevel'] =>
  level === 'info' ? 'warn' : level

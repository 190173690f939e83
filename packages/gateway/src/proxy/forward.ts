import type { Readable } from 'node:stream'
import { type Dispatcher, Pool } from 'undici'
import { Malfunction } from '../errors.ts'
import type { AuthorizedRequest, ComposedRequest } from '../words.ts'
import type { BodyStream } from './body-stream.ts'
import type { Hangup } from './hangup.ts'

/** Why there was no answer, or no whole one. */
export type ForwardError = 'upstream_unreachable' | 'upstream_invalid' | 'upstream_timeout'

export type Failure = {
  readonly error: ForwardError
  /** Whether the provider may have seen the request. */
  readonly mayHaveArrived: boolean
}

/** Takes the body as it comes. `chunk` returns false to pause until `resume` is called. */
export type Sink = {
  chunk(bytes: Buffer): boolean
  end(): void
  fail(failure: Failure): void
}

export type Answer = {
  readonly status: number
  /** Name, value, name, value … as the provider sent them. */
  readonly rawHeaders: readonly string[]
  drainTo(sink: Sink): void
  resume(): void
  abort(): void
}

export type UpstreamOptions = {
  readonly connectMs: number
  /** Sockets to one origin; further calls wait for one. */
  readonly connections: number
  /** For a sandbox with TLS: the CA that its origin alone is verified with, PEM. */
  readonly ownCa?: { readonly origins: ReadonlySet<string>; readonly pem: string }
}

/** How long one sending may take, what ends it, and the body where that was not held. */
export type Terms = {
  readonly firstByteMs: number
  readonly idleMs: number
  readonly hangup: Hangup
  readonly stream: Pick<BodyStream, 'length' | 'readable'> | null
  /** Asked once a socket is there, before the first byte: false sends nothing and fails. */
  readonly mayStart?: () => boolean
}

export type Upstream = {
  /**
   * Sends the request as it was judged, plus its credential, and resolves with the head of the
   * answer or with the failure. Redirects are handed back, nothing is ever sent twice.
   */
  forward(request: AuthorizedRequest, terms: Terms): Promise<Answer | Failure>
  close(): Promise<void>
}

export const isFailure = (answer: Answer | Failure): answer is Failure => 'error' in answer

/** A warm pool for each origin, over verified TLS. No proxy variable of the environment counts. */
export function createUpstream(options: UpstreamOptions): Upstream {
  const pools = new Map<string, Pool>()
  const poolOf = (origin: string): Pool => {
    let pool = pools.get(origin)
    if (!pool) {
      const timeout = options.connectMs
      const { ownCa } = options
      const connect = ownCa?.origins.has(origin) ? { timeout, ca: ownCa.pem } : { timeout }
      pool = new Pool(origin, {
        ...{ connect, connections: options.connections, pipelining: 1, allowH2: false },
        ...{ keepAliveTimeout: 30_000, keepAliveMaxTimeout: 300_000 },
      })
      pools.set(origin, pool)
    }
    return pool
  }
  return {
    forward: (request, terms) =>
      new Promise((resolve) => {
        const { composed, query } = request
        const handler = new AnswerHandler(resolve, terms, 2 * options.connectMs)
        poolOf(composed.origin).dispatch(
          {
            method: composed.method as Dispatcher.HttpMethod,
            path: query === null ? composed.path : `${composed.path}?${query}`,
            headers: flatten(request.headers, terms.stream),
            body: bodyOf(composed, terms.stream),
            headersTimeout: terms.firstByteMs,
            bodyTimeout: terms.idleMs,
          },
          handler,
        )
      }),
    close: async () => {
      await Promise.all([...pools.values()].map((pool) => pool.destroy()))
    },
  }
}

function flatten(headers: AuthorizedRequest['headers'], stream: Terms['stream']): string[] {
  const flat: string[] = []
  for (const [name, value] of headers) flat.push(name, value)
  if (stream?.length != null) flat.push('content-length', `${stream.length}`)
  return flat
}

function bodyOf({ body }: ComposedRequest, stream: Terms['stream']): Uint8Array | Readable | null {
  if (body !== 'streamed') return body
  if (stream === null) throw new Malfunction('internal_error', 'the body to stream is missing')
  return stream.readable
}

const aborted = new Error('the agent went away')

class AnswerHandler implements Dispatcher.DispatchHandler, Answer {
  status = 0
  rawHeaders: readonly string[] = []
  #controller: Dispatcher.DispatchController | null = null
  #sink: Sink | null = null
  #waiting: Buffer[] = []
  #end: ((sink: Sink) => void) | null = null
  #isAborted = false
  #resolve: (answer: Answer | Failure) => void
  readonly #mayStart: () => boolean
  readonly #tooLate: NodeJS.Timeout

  /** `startMs`: how long it may take until there is a socket, a queue for one included. */
  constructor(
    resolve: (answer: Answer | Failure) => void,
    { hangup, mayStart = always }: Terms,
    startMs: number,
  ) {
    this.#resolve = resolve
    this.#mayStart = mayStart
    this.#tooLate = setTimeout(() => this.abort(), startMs)
    hangup.listen(() => this.abort())
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    clearTimeout(this.#tooLate)
    this.#controller = controller
    if (this.#isAborted || !this.#mayStart()) this.abort()
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    // 103 and its kin announce; the answer is still to come.
    if (status < 200) return
    this.status = status
    this.rawHeaders = rawHeadersOf(controller)
    this.#resolve(this)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#sink) this.#waiting.push(chunk)
    else if (!this.#sink.chunk(chunk)) controller.pause()
  }

  onResponseEnd(): void {
    this.#finish((sink) => sink.end())
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    clearTimeout(this.#tooLate)
    const failure = failureOf(error)
    if (this.status === 0) this.#resolve(failure)
    else this.#finish((sink) => sink.fail(failure))
  }

  #finish(tell: (sink: Sink) => void): void {
    const sink = this.#sink
    if (sink === null) {
      this.#end = tell
      return
    }
    // undici's own objects outlive the call: what they hold on to must not hold on to the agent's
    // side, or V8 takes it into the old generation, where only a full collection finds it.
    this.#sink = null
    this.#end = null
    this.#resolve = alreadyResolved
    tell(sink)
  }

  drainTo(sink: Sink): void {
    this.#sink = sink
    const waiting = this.#waiting
    this.#waiting = []
    let flows = true
    for (const chunk of waiting) flows = sink.chunk(chunk)
    if (!flows) this.#controller?.pause()
    if (this.#end) this.#finish(this.#end)
  }

  resume(): void {
    this.#controller?.resume()
  }

  /** Before it has a socket nothing was sent, and nobody has to wait for one to hear that. */
  abort(): void {
    clearTimeout(this.#tooLate)
    if (this.#controller === null) this.#resolve(notStarted)
    this.#isAborted = true
    this.#controller?.abort(aborted)
  }
}

const always = () => true
const notStarted: Failure = { error: 'upstream_timeout', mayHaveArrived: false }

const alreadyResolved = () => {}

function rawHeadersOf(controller: Dispatcher.DispatchController): readonly string[] {
  const raw = controller.rawHeaders
  if (!Array.isArray(raw)) return []
  return raw.map((part) => (typeof part === 'string' ? part : part.toString('latin1')))
}

/** Errors by which a connection was never made: the provider can't have seen the request. */
const neverArrived: ReadonlySet<string> = new Set([
  ...['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL'],
  ...['UND_ERR_CONNECT_TIMEOUT', 'ERR_TLS_CERT_ALTNAME_INVALID', 'SELF_SIGNED_CERT_IN_CHAIN'],
  ...['DEPTH_ZERO_SELF_SIGNED_CERT', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'CERT_HAS_EXPIRED'],
  ...['UNABLE_TO_GET_ISSUER_CERT_LOCALLY'],
])

function failureOf(error: Error): Failure {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (neverArrived.has(code)) return { error: 'upstream_unreachable', mayHaveArrived: false }
  if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT') {
    return { error: 'upstream_timeout', mayHaveArrived: true }
  }
  return { error: 'upstream_invalid', mayHaveArrived: true }
}

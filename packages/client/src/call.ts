import type { Gateway } from './exchange.ts'
import { readProblem } from './okoro-error.ts'
import type { TokenCache } from './token-cache.ts'
import type { ScopeLevel, TokenRequest } from './wire.ts'

export type CallParameters = Readonly<Record<string, string | number | boolean>>

/** At most one of them. */
type CallBody =
  | { readonly json?: never; readonly form?: never; readonly body?: never }
  | { readonly json: unknown; readonly form?: never; readonly body?: never }
  | { readonly form: CallParameters; readonly json?: never; readonly body?: never }
  | { readonly body: RawBody; readonly json?: never; readonly form?: never }

type RawBody = NonNullable<RequestInit['body']>

export type CallOptions = CallBody & {
  readonly provider: string
  /** The provider's own path, such as `/v2/measure`; it may carry a query. */
  readonly path: string
  /** `POST` with a body and `GET` without one, unless said otherwise. */
  readonly method?: string
  /** `read`, unless said otherwise. */
  readonly scope?: ScopeLevel
  readonly intent: string
  readonly connection?: string
  readonly query?: CallParameters
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/**
 * Calls a provider through `/p/<provider>/<path>`.
 *
 * Returns whatever the provider answered, errors and redirects included.
 *
 * @throws OkoroError when the gateway refused the call or could not carry it out
 * @throws TypeError when the path would not reach the gateway as it is written
 */
export async function call(
  gateway: Gateway,
  tokens: TokenCache,
  options: CallOptions,
): Promise<Response> {
  // Taken out of its object, since browsers refuse a fetch that is called as somebody's method.
  const { fetch } = gateway
  const url = callUrl(gateway.url, options)
  const request = tokenRequest(options)
  const send = async (token: string) => fetch(url, callInit(options, token))

  options.signal?.throwIfAborted()
  const token = await unlessAborted(tokens.take(request), options.signal)
  let answer = await send(token)
  if (isRefusedToken(answer)) {
    tokens.drop(request, token)
    // Refused before anything was forwarded, so a second try is safe; a stream can't be sent twice.
    if (!(options.body instanceof ReadableStream)) {
      await answer.body?.cancel()
      answer = await send(await unlessAborted(tokens.take(request), options.signal))
    }
  }
  if (answer.headers.has('okoro-error')) throw await readProblem(answer)
  return answer
}

/** Not a provider's own 401: a new operation token would not help there. */
function isRefusedToken(answer: Response): boolean {
  return answer.status === 401 && answer.headers.get('okoro-error') === 'invalid_token'
}

function tokenRequest({ provider, scope = 'read', intent, connection }: CallOptions): TokenRequest {
  return { provider, scope, intent, ...(connection !== undefined && { connection }) }
}

/**
 * What URL parsers rewrite without a word: dot segments (`/../t/tokens` would leave the provider),
 * backslashes, controls and blanks, fragments.
 */
const rewrittenByParsers = /[\\#\p{Cc} ]|\/(?:\.|%2e){1,2}(?=[/?]|$)/iu

function callUrl(gatewayUrl: string, { provider, path, query }: CallOptions): string {
  const target = `/${provider}${path}`
  if (!/^[\w-]+$/.test(provider)) throw new TypeError('provider is a single name')
  if (!path.startsWith('/')) throw new TypeError('path starts with a slash')
  const [pathname = ''] = target.split('?', 1)
  if (rewrittenByParsers.test(pathname) || /[#\p{Cc} ]/u.test(target)) {
    throw new TypeError('path has dot segments, backslashes, blanks, controls or a fragment')
  }
  const parameters = query ? encode(query).toString() : ''
  const separator = target.includes('?') ? '&' : '?'
  return `${gatewayUrl}/p${target}${parameters && separator}${parameters}`
}

function callInit(options: CallOptions, token: string): RequestInit {
  const headers = new Headers(options.headers)
  const body = callBody(options)
  if (options.json !== undefined && !headers.has('content-type')) {
    headers.set('content-type', 'application/json')
  }
  headers.set('authorization', `Bearer ${token}`)
  return {
    method: options.method ?? (body === undefined ? 'GET' : 'POST'),
    headers,
    // A provider's redirect names the provider's host: following it would go around the gateway.
    redirect: 'manual',
    ...(body !== undefined && { body }),
    ...(body instanceof ReadableStream && { duplex: 'half' as const }),
    ...(options.signal && { signal: options.signal }),
  }
}

function callBody({ json, form, body }: CallOptions): RawBody | undefined {
  if (json !== undefined) return JSON.stringify(json)
  if (form !== undefined) return encode(form)
  return body
}

function encode(parameters: CallParameters): URLSearchParams {
  const encoded = new URLSearchParams()
  for (const [name, value] of Object.entries(parameters)) encoded.append(name, String(value))
  return encoded
}

/** Lets one caller go while the exchange that others may be waiting for goes on. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  let abort = (): void => undefined
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason)
  })
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/**
 * Every answer that is the gateway's own and no success, in one table (CONTRACT.md, "Errors").
 * A refusal is a value and is returned; a malfunction is thrown. `problem` alone makes the bytes.
 */
export const errors = {
  invalid_request: { status: 400, title: 'The request is malformed' },
  bad_target: { status: 400, title: 'The path or query can be read in two ways' },
  bad_body: { status: 400, title: 'The body can be read in two ways' },
  bad_framing: { status: 400, title: 'The message breaks the rules of HTTP/1.1' },
  invalid_token: { status: 401, title: 'The token is not valid' },
  insufficient_scope: { status: 403, title: 'The scope is too low' },
  outside_grant: { status: 403, title: 'The grant leaves this out' },
  provider_not_granted: { status: 403, title: 'No grant for this provider' },
  provider_mismatch: { status: 403, title: 'The operation token is for another provider' },
  forbidden_target: { status: 403, title: 'This path is closed' },
  forbidden_parameter: { status: 403, title: 'This parameter is not yours to send' },
  unknown_provider: { status: 404, title: 'No such provider' },
  not_found: { status: 404, title: 'Not found' },
  method_not_allowed: { status: 405, title: 'This method is not allowed here' },
  request_timeout: { status: 408, title: 'The request did not arrive in time' },
  not_connected: { status: 409, title: 'Nothing is connected' },
  needs_reconnect: { status: 409, title: 'The connection must be made anew' },
  connection_required: { status: 409, title: 'Several connections: name one' },
  conflict: { status: 409, title: 'The resource is not in that state' },
  payload_too_large: { status: 413, title: 'The body is too large' },
  rate_limited: { status: 429, title: 'Too many requests' },
  headers_too_large: { status: 431, title: 'The header section is too large' },
  internal_error: { status: 500, title: 'The gateway failed' },
  upstream_unreachable: { status: 502, title: 'The provider could not be reached' },
  upstream_invalid: { status: 502, title: 'The provider sent no valid answer' },
  overloaded: { status: 503, title: 'The gateway is at its limit' },
  audit_unavailable: { status: 503, title: 'The audit log cannot be written' },
  store_unavailable: { status: 503, title: 'The database cannot be reached' },
  upstream_timeout: { status: 504, title: 'The provider did not answer in time' },
} as const satisfies Record<string, { status: number; title: string }>

export type ErrorCode = keyof typeof errors

/** What a refusal may add to its problem body: `required_scope`, `token_request` and the like. */
export type ProblemMembers = Readonly<Record<string, unknown>>

export type Refusal = {
  readonly kind: 'refusal'
  readonly code: ErrorCode
  /** What happened and what to do: one or two sentences for the person in trouble. */
  readonly message: string
  readonly members: ProblemMembers
  /** Seconds; becomes `Retry-After`. */
  readonly retryAfterSeconds: number | null
}

export function refuse(
  code: ErrorCode,
  message: string,
  members: ProblemMembers = {},
  retryAfterSeconds: number | null = null,
): Refusal {
  return { kind: 'refusal', code, message, members, retryAfterSeconds }
}

export const isRefusal = (value: unknown): value is Refusal =>
  typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'refusal'

/** The one class that is thrown: something of ours or below us broke. */
export class Malfunction extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'Malfunction'
    this.code = code
  }
}

/** A refusal for whatever was thrown: known malfunctions keep their code, all else is ours. */
export function refusalOf(thrown: unknown): Refusal {
  if (!(thrown instanceof Malfunction)) {
    return refuse(
      'internal_error',
      'The gateway failed on this request; the request id finds it in the log.',
    )
  }
  const isPassing = errors[thrown.code].status === 503
  return refuse(thrown.code, thrown.message, {}, isPassing ? 1 : null)
}

export type ProblemContext = { readonly publicUrl: string; readonly requestId: string }
export type ProblemResponse = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/**
 * The answer for a refusal: RFC 9457 problem+json that old clients can read too (`.error`, then
 * `.message`). The optional `status` member is left out: some providers' envelopes use that name.
 */
export function problem(refusal: Refusal, context: ProblemContext): ProblemResponse {
  const { status, title } = errors[refusal.code]
  const body = JSON.stringify({
    type: `${context.publicUrl}/docs/errors#${refusal.code}`,
    title,
    error: refusal.code,
    message: refusal.message,
    request_id: context.requestId,
    ...refusal.members,
  })
  const headers: Record<string, string> = {
    'content-type': 'application/problem+json',
    'cache-control': 'no-store',
    'okoro-error': refusal.code,
    'okoro-request-id': context.requestId,
  }
  if (status === 401) {
    headers['www-authenticate'] = `Bearer realm="okoro", error="${refusal.code}"`
  }
  if (refusal.retryAfterSeconds !== null) headers['retry-after'] = `${refusal.retryAfterSeconds}`
  return { status, headers, body }
}

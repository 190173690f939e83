import type { OAuth2 } from '../catalog/auth/oauth2.ts'

/**
 * Reads a provider's irregular token answer as RFC 6749 has it, by what the provider file says.
 * Pure: bytes in, a judgement out.
 */

export type RawAnswer = {
  readonly httpStatus: number
  /** Seconds, from `Retry-After`. */
  readonly retryAfterSeconds: number | null
  /** Parsed JSON; undefined when it was none. */
  readonly json: unknown
}

/** The members of RFC 6749, section 5.1, and nothing else. */
export type Conform = {
  readonly kind: 'conform'
  readonly body: Readonly<Record<string, string | number>>
  /** The provider's own id of the account, where the file says where it stands. */
  readonly account: string | null
}

/**
 * `dead`: what was traded (code or refresh token) is of no use any more. `refused`: our
 * application is at fault, the credential is not. `retry`: neither is known to be, try later.
 */
export type TokenFailure = {
  readonly kind: 'dead' | 'refused' | 'retry'
  readonly code: 'upstream_invalid' | 'upstream_timeout' | 'upstream_unreachable'
  /** Whether the provider itself spoke: no proxy's error page, no garbage, no silence. */
  readonly hasAnswered: boolean
  /** For the operator: status and text as the provider gave them. */
  readonly text: string
  /** Seconds, where the provider said how long to wait. */
  readonly retryAfterSeconds: number | null
}

/** RFC 6749, section 5.2: what no waiting mends, though the grant itself may be sound. */
const refusedErrors = new Set([
  'invalid_client',
  'unauthorized_client',
  'unsupported_grant_type',
  'invalid_scope',
  'invalid_request',
])

/** Reads an answer of the token endpoint. Never throws: garbage is a `retry`. */
export function readTokenAnswer(token: OAuth2['token'], raw: RawAnswer): Conform | TokenFailure {
  const { answer } = token
  const status = answer.status === null ? raw.httpStatus : at(raw.json, answer.status)
  const isOk = raw.httpStatus === 200 && (answer.status === null || isListed(answer.ok, status))
  const members = at(raw.json, answer.members)
  if (isOk && isObject(members) && typeof members.access_token === 'string') {
    return conform(members, { answer, json: raw.json })
  }
  return judgeFailure(token, raw, status)
}

type Reading = { readonly answer: OAuth2['token']['answer']; readonly json: unknown }

function conform(members: Members, { answer, json }: Reading): Conform {
  const body: Record<string, string | number> = { token_type: 'bearer' }
  for (const name of ['access_token', 'refresh_token', 'token_type']) {
    const value = members[name]
    if (typeof value === 'string' && value !== '') body[name] = value
  }
  const expiresIn = Number(members.expires_in)
  // Some providers say 0 or null for tokens that never expire.
  if (Number.isFinite(expiresIn) && expiresIn > 0) body.expires_in = Math.floor(expiresIn)
  const scope = scopeOf(members.scope, answer.scopeSeparator)
  if (scope !== null) body.scope = scope
  return { kind: 'conform', body, account: accountAt(json, answer.account) }
}

function scopeOf(scope: unknown, separator: string): string | null {
  const names = typeof scope === 'string' ? scope.split(separator) : scope
  if (!Array.isArray(names)) return null
  return names
    .map((name) => String(name).trim())
    .filter((name) => name !== '')
    .join(' ')
}

/** An id or a name: a string, or an integer as one. */
export function accountAt(json: unknown, pointer: string | null): string | null {
  const account = pointer === null ? null : at(json, pointer)
  if (typeof account === 'string' && account !== '') return account
  return typeof account === 'number' ? String(account) : null
}

function judgeFailure(token: OAuth2['token'], raw: RawAnswer, status: unknown): TokenFailure {
  const message = at(raw.json, token.answer.message)
  const error = typeof message === 'string' ? message : ''
  const text = `${typeof status === 'number' ? status : `HTTP ${raw.httpStatus}`} ${error}`.trim()
  const kind = kindOf(token, raw, { status, error })
  const hasAnswered = raw.httpStatus < 500 && isObject(raw.json)
  const { retryAfterSeconds } = raw
  return { kind, code: 'upstream_invalid', hasAnswered, text: printable(text), retryAfterSeconds }
}

type Said = { readonly status: unknown; readonly error: string }

function kindOf(
  token: OAuth2['token'],
  { httpStatus, json }: RawAnswer,
  { status, error }: Said,
): TokenFailure['kind'] {
  const isDead = token.dead.some(
    (it) => isListed(it.status, status) && error.toLowerCase().includes(it.message.toLowerCase()),
  )
  if (isDead) return 'dead'
  if (httpStatus !== 400 && httpStatus !== 401) return 'retry'
  const code = isObject(json) ? json.error : undefined
  if (code === 'invalid_grant') return 'dead'
  return typeof code === 'string' && refusedErrors.has(code) ? 'refused' : 'retry'
}

type Members = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isListed = (list: readonly number[], value: unknown): boolean =>
  typeof value === 'number' && list.includes(value)

/** RFC 6901 without escapes, which the vocabulary excludes; undefined when nothing is there. */
export function at(json: unknown, pointer: string): unknown {
  let value = json
  for (const name of pointer.split('/').slice(1)) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Members)[name]
  }
  return value
}

/** What a stranger wrote, safe for a terminal, a page and a record: one line, 200 characters. */
export const printable = (text: string): string =>
  text
    .toWellFormed()
    .replace(/[\p{C}\s]+/gu, ' ')
    .slice(0, 200)
    .toWellFormed()

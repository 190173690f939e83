/**
 * The agent side of the wire, as JSON carries it: member names are the contract's own, in snake_case.
 *
 * Every set of values is open. A reader ignores members and accepts values that it does not know.
 */

/** Cumulative: each level includes those before it. */
export type ScopeLevel = 'read' | 'write' | 'update' | 'delete' | 'all'

/** The body of `POST /t/tokens`. */
export type TokenRequest = {
  readonly provider: string
  readonly scope: ScopeLevel
  /** What the agent is about to do, 3–500 characters; it stands in every audit record. */
  readonly intent: string
  /** Id or label of a connection that the grant allows; needed only where there are several. */
  readonly connection?: string
  /** Rule ids; the token is narrowed to them. */
  readonly actions?: readonly string[]
  /** Seconds, 30–900; the gateway's default is 300. */
  readonly ttl?: number
}

/** The answer 200 of `POST /t/tokens`. */
export type TokenAnswer = {
  readonly token: string
  readonly token_type: 'Bearer'
  /** Seconds. */
  readonly expires_in: number
  /** RFC 3339. */
  readonly expires_at: string
  readonly provider: string
  /** The connection's label, for people. */
  readonly connection: string
  readonly connection_id: string
  readonly scope: ScopeLevel
}

/** The codes known today; later gateways may add to them, so handle an unknown one too. */
export type KnownErrorCode =
  | 'invalid_request'
  | 'bad_target'
  | 'bad_body'
  | 'bad_framing'
  | 'invalid_token'
  | 'insufficient_scope'
  | 'outside_grant'
  | 'provider_not_granted'
  | 'provider_mismatch'
  | 'forbidden_target'
  | 'forbidden_parameter'
  | 'unknown_provider'
  | 'not_found'
  | 'method_not_allowed'
  | 'request_timeout'
  | 'not_connected'
  | 'needs_reconnect'
  | 'connection_required'
  | 'conflict'
  | 'payload_too_large'
  | 'headers_too_large'
  | 'rate_limited'
  | 'internal_error'
  | 'upstream_unreachable'
  | 'upstream_invalid'
  | 'upstream_timeout'
  | 'overloaded'
  | 'audit_unavailable'
  | 'store_unavailable'

export type ErrorCode = KnownErrorCode | (string & {})

/**
 * `application/problem+json` (RFC 9457): every answer that is the gateway's own, not the provider's.
 *
 * The optional `status` member is left out on purpose; the HTTP status is the status.
 */
export type Problem = {
  readonly type: string
  readonly title: string
  readonly error: ErrorCode
  /** What happened and what to do about it. */
  readonly message: string
  readonly request_id: string
  readonly required_scope?: ScopeLevel
  readonly granted_scope?: ScopeLevel
  readonly rule?: string
  readonly docs?: string
  /** Ready to be sent to `POST /t/tokens`. */
  readonly token_request?: TokenRequest
}

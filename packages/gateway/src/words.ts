/**
 * The nouns of okoro, as types. DESIGN.md defines each word; this file gives it a shape.
 * Nothing here does anything but `scopeCovers`, the one comparison every room needs.
 */

/** The tenant. In every table, key and associated data; always this one for now. */
export const workspace = 'default'

/** Scope levels from least to most. Cumulative: a level covers all those before it. */
export const scopes = ['read', 'write', 'update', 'delete', 'all'] as const
export type Scope = (typeof scopes)[number]

/** Whether a holder of `held` may do what needs `needed`. */
export const scopeCovers = (held: Scope, needed: Scope): boolean =>
  scopes.indexOf(held) >= scopes.indexOf(needed)

export const isScope = (value: unknown): value is Scope =>
  typeof value === 'string' && (scopes as readonly string[]).includes(value)

/** Milliseconds since the Unix epoch. Passed in at the wiring, never read inside a rule. */
export type Clock = () => number

/** `size` cryptographically random bytes. */
export type Random = (size: number) => Uint8Array

/** What one agent may reach. */
export type Grant = {
  readonly id: string
  readonly agentId: string
  readonly provider: string
  readonly scope: Scope
  /** The connection it is bound to; null until the first one is connected. */
  readonly connectionId: string | null
  /** Selects the connection of this owner instead of a fixed one. */
  readonly owner: string | null
  /** Rule ids: when given, nothing else may be called. */
  readonly only: readonly string[] | null
  /** Rule ids that may not be called. */
  readonly except: readonly string[]
  /** Named capture → the one value that it may have. An unknown key denies. */
  readonly constraints: Readonly<Record<string, string>>
}

/** What an operation token says, once its signature has been checked. */
export type Operation = {
  readonly agentId: string
  readonly serviceTokenId: string
  readonly provider: string
  readonly connectionId: string
  /** The connection's account generation when the token was issued. */
  readonly generation: number
  readonly scope: Scope
  readonly intent: string
  /** Rule ids that the token was narrowed to. */
  readonly actions: readonly string[] | null
  readonly jti: string
  /** Seconds since the Unix epoch. */
  readonly expiresAt: number
}

/** The canonical reading of what the agent sent: one string, matched, recorded and sent. */
export type Target = {
  readonly provider: string
  /** The agent's own method, upper case. */
  readonly method: string
  /** What follows `/p/<provider>`, raw as it came; begins with `/`. */
  readonly path: string
  /** Raw, without `?`; null when there was none. */
  readonly query: string | null
}

/** How the provider is reached: every record of a call says so. */
export type Transport = 'tls' | 'tls_own_ca' | 'plain'

/** The outbound request exactly as it will be sent, less the credential. */
export type ComposedRequest = {
  readonly provider: string
  /** The agent's own method: an input of the decision, not what is sent. */
  readonly agentMethod: string
  readonly method: string
  /** Scheme, host and port, as in `https://wbsapi.withings.net`. */
  readonly origin: string
  /** Path as sent; rules match this one. */
  readonly path: string
  /** Query as sent, without `?`; null for none. */
  readonly query: string | null
  /** Lower-case names, in the order they are sent; no Host, no Content-Length, no credential. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** `streamed` when it is passed on while it arrives and nothing was judged by it. */
  readonly body: Uint8Array | 'streamed' | null
  /** The action inside the request, where the provider has such a thing. */
  readonly action: string | null
}

export type Allow = {
  readonly kind: 'allow'
  /** The rule's id; null when no rule names the call and the level `all` let it pass. */
  readonly rule: string | null
  readonly level: Scope
}

declare const permit: unique symbol
/** Made by `decide` alone. */
export type AllowedRequest = {
  readonly composed: ComposedRequest
  readonly decision: Allow
  readonly [permit]: 'allowed'
}
/** Made by `append` alone: the attempt of this request is durable. */
export type AuditedRequest = {
  readonly composed: ComposedRequest
  readonly requestId: string
  readonly attemptNo: number
  readonly [permit]: 'audited'
}
/** Made by `inject` alone, and all that `forward` accepts. */
export type AuthorizedRequest = {
  readonly composed: ComposedRequest
  /** Query with injected parameters; equals `composed.query` for header schemes. */
  readonly query: string | null
  /** `composed.headers` and the credential's own. Never logged, never recorded. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly requestId: string
  readonly attemptNo: number
  readonly [permit]: 'authorized'
}

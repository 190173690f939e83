import * as oauth from 'oauth4webapi'
import type { OAuth2 } from '../catalog/auth/oauth2.ts'
import { Malfunction } from '../errors.ts'
import { Secret } from '../secret.ts'
import { printable, readTokenAnswer, type TokenFailure } from './dialect.ts'
import type { ProviderFetch } from './egress.ts'

/**
 * The authorization code grant (RFC 6749, section 4.1) and the refresh (section 6) for providers
 * that keep to them more or less: one function sends, `judge` reads whatever came of it.
 */

export type Tokens = {
  readonly kind: 'tokens'
  readonly accessToken: Secret<string>
  /** Null when the answer has none: the old one stays (RFC 6749, section 6). */
  readonly refreshToken: Secret<string> | null
  /** Seconds; null when it does not expire. */
  readonly expiresInSeconds: number | null
  /** Space-separated; null when the answer does not say. */
  readonly scopes: string | null
  readonly account: string | null
}

/** Our side of a token request. */
export type Caller = {
  readonly auth: OAuth2
  readonly clientId: string
  readonly clientSecret: Secret<string>
  readonly fetch: ProviderFetch
}

/** A PKCE verifier (RFC 7636) where the provider has PKCE. */
export const newVerifier = (auth: OAuth2): string | null =>
  auth.pkce === 'S256' ? oauth.generateRandomCodeVerifier() : null

export type AuthorizationRequest = {
  readonly clientId: string
  readonly redirectUri: string
  readonly state: string
  readonly verifier: string | null
}

/** The page where the account's owner consents (RFC 6749, section 4.1.1). */
export async function authorizationUrl(
  { authorize, scopes }: OAuth2,
  { clientId, redirectUri, state, verifier }: AuthorizationRequest,
): Promise<string> {
  const url = new URL(authorize.url)
  const parameters = {
    ...authorize.parameters,
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    scope: scopes.map((scope) => scope.name).join(authorize.scopeSeparator),
    state,
  }
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  if (verifier !== null) {
    url.searchParams.set('code_challenge', await oauth.calculatePKCECodeChallenge(verifier))
    url.searchParams.set('code_challenge_method', 'S256')
  }
  return url.href
}

/** Parameters of a callback that hold a code and were checked: `sendCode` takes no others. */
export type Callback =
  | { readonly kind: 'code'; readonly parameters: URLSearchParams }
  | { readonly kind: 'error'; readonly error: string }
  | { readonly kind: 'malformed' }

/**
 * Reads what the provider's redirect brought (RFC 6749, section 4.1.2). Doubled parameters are
 * malformed. `iss` (RFC 9207) is left aside: a redirect URI of its own for each provider is the
 * defence against mixed-up servers here (RFC 9700, section 4.4.2.2).
 */
export function readCallback(auth: OAuth2, parameters: URLSearchParams, state: string): Callback {
  const checked = new URLSearchParams(parameters)
  if (new Set(checked.keys()).size !== checked.size) return { kind: 'malformed' }
  checked.delete('iss')
  try {
    const validated = oauth.validateAuthResponse(serverOf(auth), { client_id: '-' }, checked, state)
    return validated.get('code') ? { kind: 'code', parameters: validated } : { kind: 'malformed' }
  } catch (error) {
    if (!(error instanceof oauth.AuthorizationResponseError)) return { kind: 'malformed' }
    return { kind: 'error', error: printable(error.error) }
  }
}

export type CodeTrade = {
  readonly parameters: URLSearchParams
  readonly redirectUri: string
  readonly verifier: string | null
}

/** Trades a code for tokens; never throws for what the provider or the network did. */
export function tradeCode(
  caller: Caller,
  { parameters, redirectUri, verifier }: CodeTrade,
): Promise<Tokens | TokenFailure> {
  const code = new Secret(parameters.get('code') ?? '')
  return ask(caller, code, (server, client) =>
    oauth.authorizationCodeGrantRequest(
      server,
      client,
      authenticate(caller),
      parameters,
      redirectUri,
      verifier ?? oauth.nopkce,
      optionsOf(caller),
    ),
  )
}

/** Trades a refresh token for tokens; never throws for what the provider or the network did. */
export function refreshTokens(
  caller: Caller,
  refreshToken: Secret<string>,
): Promise<Tokens | TokenFailure> {
  return ask(caller, refreshToken, (server, client) =>
    oauth.refreshTokenGrantRequest(
      server,
      client,
      authenticate(caller),
      refreshToken.reveal(),
      optionsOf(caller),
    ),
  )
}

type Send = (server: oauth.AuthorizationServer, client: oauth.Client) => Promise<Response>

async function ask(
  caller: Caller,
  traded: Secret<string>,
  send: Send,
): Promise<Tokens | TokenFailure> {
  const server = serverOf(caller.auth)
  const client = { client_id: caller.clientId }
  try {
    const response = await send(server, client)
    const judged = await judge({ auth: caller.auth, server, client }, response)
    if (judged.kind === 'tokens') return judged
    return { ...judged, text: scrub(judged.text, [traded, caller.clientSecret]) }
  } catch (error) {
    if (!(error instanceof Malfunction)) throw error
    const { code, message } = error
    return unusable(message, isUpstream(code) ? code : 'upstream_unreachable')
  }
}

type Asked = {
  readonly auth: OAuth2
  readonly server: oauth.AuthorizationServer
  readonly client: oauth.Client
}

/** The dialect first, then the library: what comes out is as RFC 6749 has it. */
async function judge(
  { auth, server, client }: Asked,
  response: Response,
): Promise<Tokens | TokenFailure> {
  const read = readTokenAnswer(auth.token, {
    httpStatus: response.status,
    retryAfterSeconds: secondsOf(response.headers.get('retry-after')),
    json: parse(await response.text()),
  })
  if (read.kind !== 'conform') return read
  try {
    const tokens = await oauth.processRefreshTokenResponse(server, client, Response.json(read.body))
    return {
      kind: 'tokens',
      accessToken: new Secret(tokens.access_token),
      refreshToken: tokens.refresh_token ? new Secret(tokens.refresh_token) : null,
      expiresInSeconds: tokens.expires_in ?? null,
      scopes: tokens.scope ?? null,
      account: read.account,
    }
  } catch {
    // The library's error holds the whole answer.
    return unusable('The answer is no token of a type that can be used.', 'upstream_invalid')
  }
}

const isUpstream = (code: string): code is TokenFailure['code'] => code.startsWith('upstream_')

const unusable = (text: string, code: TokenFailure['code']): TokenFailure => ({
  ...{ kind: 'retry', code, hasAnswered: false, text, retryAfterSeconds: null },
})

const serverOf = ({ token }: OAuth2): oauth.AuthorizationServer => ({
  issuer: new URL(token.url).origin,
  token_endpoint: token.url,
})

const authenticate = ({ auth, clientSecret }: Caller): oauth.ClientAuth =>
  auth.token.clientAuthentication === 'basic'
    ? oauth.ClientSecretBasic(clientSecret.reveal())
    : oauth.ClientSecretPost(clientSecret.reveal())

const optionsOf = ({ auth, fetch }: Caller): oauth.TokenEndpointRequestOptions => ({
  additionalParameters: { ...auth.token.parameters },
  // Whether plain HTTP may be spoken is for egress.ts to say: to a sandbox on loopback alone.
  [oauth.allowInsecureRequests]: true,
  [oauth.customFetch]: fetch,
})

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Seconds of a `Retry-After`; null for its date form, which would need a clock that agrees. */
const secondsOf = (header: string | null): number | null =>
  header !== null && /^[0-9]{1,5}$/.test(header) ? Number(header) : null

/** Providers like to repeat what they refuse; a secret must not reach a record that way. */
export const scrub = (text: string, secrets: readonly Secret<string>[]): string =>
  secrets
    .map((secret) => secret.reveal())
    .filter((secret) => secret !== '')
    .reduce((scrubbed, secret) => scrubbed.replaceAll(secret, '[redacted]'), text)

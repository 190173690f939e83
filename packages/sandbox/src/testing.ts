import { type Sandbox, type SandboxOptions, startWithings, unlimited } from './index.ts'
import type { Scope } from './oauth/scope.ts'
import { sign } from './oauth/signature.ts'

/** For tests: the application that they are. */
export const application = {
  clientId: 'client-1',
  clientSecret: 'secret-1',
  redirectUris: ['http://127.0.0.1:9/callback?from=withings'],
} as const

export const redirectUri = application.redirectUris[0]

export const allScopes: readonly Scope[] = [
  'user.info',
  'user.metrics',
  'user.activity',
  'user.sleepevents',
]

/** An answer, its body read as what the test expects it to be. */
export type Envelope<Body = Record<string, unknown>> = {
  readonly status: number
  readonly error?: string
  readonly body: Body
}

export type TokenBody = {
  readonly userid: string | number
  readonly access_token: string
  readonly refresh_token: string
  readonly expires_in: number
  readonly scope: string
  readonly token_type: string
}

type Form = Readonly<Record<string, string | number>>

/**
 * A listening sandbox with the application registered; closes itself at the end of its scope.
 * Without limits, unless they are named: most tests repeat themselves.
 */
export async function start(options: SandboxOptions = {}) {
  const sandbox = await startWithings({ limits: unlimited, ...options })
  sandbox.registerApplication(application)
  return { ...sandbox, ...clientOf(sandbox), [Symbol.asyncDispose]: sandbox.close }
}

/** Speaks to a sandbox that listens, here or in another process. */
export function clientOf(sandbox: Pick<Sandbox, 'url' | 'controlUrl'>) {
  return {
    post: <Body>(path: string, form: Form, token?: string) =>
      post<Body>(sandbox.url + path, form, token),
    control: (method: string, path: string, body?: object) =>
      control(sandbox, { method, path, body }),
  }
}

export type Started = Awaited<ReturnType<typeof start>>

/** A sandbox and the tokens of the demo person, who granted these scopes. */
export async function connect(scopes: readonly Scope[] = allScopes, options: SandboxOptions = {}) {
  const sandbox = await start(options)
  const tokens = (await trade(sandbox, await allow(sandbox.url, scopes))).body
  return {
    ...sandbox,
    tokens,
    call: <Body = Record<string, unknown>>(path: string, form: Form) =>
      sandbox.post<Body>(path, form, tokens.access_token),
  }
}

export function authorizeUrl(url: string, changes: Readonly<Record<string, string | null>> = {}) {
  const params = {
    response_type: 'code',
    client_id: application.clientId,
    redirect_uri: redirectUri,
    scope: allScopes.join(','),
    state: 'state-1',
    mode: 'demo',
    ...changes,
  }
  const given = Object.entries(params).filter((it): it is [string, string] => it[1] !== null)
  return `${url}/oauth2_user/authorize2?${new URLSearchParams(given)}`
}

/** Opens the consent page and returns the id hidden in its form. */
export async function openConsent(address: string): Promise<string> {
  const page = await (await fetch(address)).text()
  const id = /name="request" value="([0-9a-f]+)"/.exec(page)?.[1]
  if (id === undefined) throw new Error(`no consent form in: ${page}`)
  return id
}

export function answer(url: string, form: readonly (readonly [string, string])[]) {
  const body = new URLSearchParams(form.map(([name, value]): [string, string] => [name, value]))
  return fetch(`${url}/oauth2_user/authorize2`, { method: 'POST', body, redirect: 'manual' })
}

/** Allows these scopes and returns the code that the application gets. */
export async function allow(
  url: string,
  scopes: readonly Scope[] = allScopes,
  changes: Readonly<Record<string, string | null>> = {},
): Promise<string> {
  const request = await openConsent(authorizeUrl(url, changes))
  const chosen = scopes.map((scope) => ['scope', scope] as const)
  const response = await answer(url, [['request', request], ['decision', 'allow'], ...chosen])
  return new URL(response.headers.get('location') ?? '').searchParams.get('code') ?? ''
}

const client = { client_id: application.clientId, client_secret: application.clientSecret }

export function trade({ post }: Pick<Started, 'post'>, code: string, changes: Form = {}) {
  return post<TokenBody>('/v2/oauth2', {
    action: 'requesttoken',
    ...client,
    grant_type: 'authorization_code',
    code,
    redirect_uri: redirectUri,
    ...changes,
  })
}

export function refresh({ post }: Pick<Started, 'post'>, token: string, changes: Form = {}) {
  return post<TokenBody>('/v2/oauth2', {
    action: 'requesttoken',
    ...client,
    grant_type: 'refresh_token',
    refresh_token: token,
    ...changes,
  })
}

/** A nonce for one signed call. */
export async function nonceOf(sandbox: Pick<Started, 'post'>): Promise<string> {
  const fields = { action: 'getnonce', client_id: application.clientId, timestamp: '1795407212' }
  const signature = sign(application.clientSecret, fields)
  const form = { ...fields, signature }
  return (await sandbox.post<{ nonce: string }>('/v2/signature', form)).body.nonce
}

/** The fields that sign a call. */
export function signed(action: string, nonce: string) {
  const fields = { action, client_id: application.clientId, nonce }
  return { ...fields, signature: sign(application.clientSecret, fields) }
}

async function post<Body>(url: string, form: Form, token?: string): Promise<Envelope<Body>> {
  const body = new URLSearchParams(
    Object.entries(form).map(([name, value]): [string, string] => [name, `${value}`]),
  )
  const headers =
    token === undefined ? new Headers() : new Headers({ authorization: `Bearer ${token}` })
  const response = await fetch(url, { method: 'POST', body, headers })
  return (await response.json()) as Envelope<Body>
}

type Command = {
  readonly method: string
  readonly path: string
  readonly body: object | undefined
}

async function control(
  { controlUrl }: Pick<Sandbox, 'controlUrl'>,
  { method, path, body }: Command,
) {
  const init = body === undefined ? { method } : { method, body: JSON.stringify(body) }
  const response = await fetch(`${controlUrl}${path}`, init)
  return { http: response.status, body: (await response.json()) as Record<string, unknown> }
}

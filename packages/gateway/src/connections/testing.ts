import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { after } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startWithings, unlimited } from '@okoro/sandbox'
import { loadCatalog } from '../catalog/load.ts'
import { isRefusal, type Refusal } from '../errors.ts'
import { Secret } from '../secret.ts'
import type { Store } from '../store/store.ts'
import { openVault } from '../vault/keys.ts'
import { localRootKey } from '../vault/local-root-key.ts'
import { addApplication } from './applications.ts'
import { beginFlow, type FlowRequest, openLink } from './connect.ts'
import type { ConnectionsContext } from './context.ts'
import { createEgress } from './egress.ts'
import { finish } from './finish.ts'

/** For tests: this room with the real catalogue, a real vault and the Withings sandbox. */

export const providersDir = fileURLToPath(new URL('../../../../providers', import.meta.url))
export const publicUrl = 'http://127.0.0.1:8420'
export const callbackUrl = `${publicUrl}/connect/callback/withings`

export type TestClock = { (): number; advance(ms: number): void }

/** The machine's clock plus what was advanced: gateway and sandbox share it. */
export function testClock(): TestClock {
  let advanced = 0
  const clock = () => Date.now() + advanced
  return Object.assign(clock, {
    advance: (ms: number) => {
      advanced += ms
    },
  })
}

type Json = { readonly requests?: readonly { readonly body: string }[]; readonly status?: number }

export async function startSandbox(clock: TestClock) {
  const sandbox = await startWithings({ now: clock, limits: unlimited })
  after(() => sandbox.close())
  const clientSecret = `secret-${randomBytes(8).toString('hex')}`
  sandbox.registerApplication({ clientId: 'okoro', clientSecret, redirectUris: [callbackUrl] })
  const control = async (method: string, path: string, body?: unknown) => {
    const json = body === undefined ? null : JSON.stringify(body)
    const answer = await fetch(`${sandbox.controlUrl}${path}`, { method, body: json })
    if (!answer.ok) throw new Error(`${path}: ${await answer.text()}`)
    return (await answer.json()) as Json
  }
  return {
    url: sandbox.url,
    clientSecret: new Secret(clientSecret),
    expire: (tokens: 'access' | 'refresh' | 'all') => control('POST', '/expire', { tokens }),
    fault: (fault: Record<string, unknown>) =>
      control('POST', '/faults', { faults: [{ path: '/v2/oauth2', times: 1, ...fault }] }),
    /** How often the token endpoint was asked for this. */
    tokenCalls: async (grantType: 'authorization_code' | 'refresh_token'): Promise<number> => {
      const { requests } = await control('GET', '/received')
      return requests?.filter(({ body }) => body.includes(grantType)).length ?? 0
    },
    /** The in-body status of one call with this access token. */
    call: async (accessToken: string): Promise<number> => {
      const answer = await fetch(`${sandbox.url}/v2/user`, {
        method: 'POST',
        headers: { authorization: `Bearer ${accessToken}` },
        body: new URLSearchParams({ action: 'getdevice' }),
      })
      return ((await answer.json()) as Json).status ?? -1
    },
  }
}

type KeyAnswer = { readonly status: number; readonly body: object | string }

/** A provider that takes keys: it answers `GET /user` alone, and only to whom it knows. */
export async function startKeyProvider() {
  const accounts = new Map<string, KeyAnswer>()
  const seen: (readonly string[])[] = []
  const server = createServer((request, response) => {
    seen.push(request.rawHeaders)
    const key = request.headers.authorization?.slice('Bearer '.length) ?? ''
    const isProbe = request.method === 'GET' && request.url === '/user'
    const unknown = { status: isProbe ? 401 : 404, body: { message: `Bad credentials ${key}` } }
    const { status, body } = (isProbe && accounts.get(key)) || unknown
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(typeof body === 'string' ? body : JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  after(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  return {
    sandboxes: new Map([['github', `http://127.0.0.1:${port}`]]),
    seen,
    /** What a key is answered with; 200 and an account when there is no status. */
    answers: (key: string, { status = 200, body }: { status?: number; body: object | string }) =>
      accounts.set(key, { status, body }),
    knows: (key: string, id: number, login = 'ada') =>
      accounts.set(key, { status: 200, body: { id, login } }),
    forgets: (key: string) => accounts.delete(key),
  }
}

export type TestSandbox = Awaited<ReturnType<typeof startSandbox>>

export type Room = ConnectionsContext & { readonly clock: TestClock }

/** A text is the sandbox of Withings; null stands for a gateway that knows real providers only. */
export async function openRoom(
  store: Store,
  clock: TestClock,
  sandbox: string | null | ReadonlyMap<string, string>,
): Promise<Room> {
  const sandboxes =
    typeof sandbox === 'string' ? new Map([['withings', sandbox]]) : (sandbox ?? new Map())
  const egress = createEgress({ sandboxOrigins: new Set(sandboxes.values()), deadlineMs: 2_000 })
  after(() => egress.close())
  const rootKey = localRootKey(new Secret(new Uint8Array(32)), randomBytes)
  const catalog = await loadCatalog([providersDir], sandboxes)
  return {
    ...{ store, catalog, publicUrl, clock, random: randomBytes, fetch: egress.fetch },
    vault: await openVault({ store, rootKey, clock, random: randomBytes }),
  }
}

export async function addTestApplication(room: Room, sandbox: TestSandbox) {
  const secret = sandbox.clientSecret
  return granted(await addApplication(room, { provider: 'withings', clientId: 'okoro', secret }))
}

/** What was asked for, or a failed test. */
export function granted<T>(result: T | Refusal): Exclude<T, Refusal> {
  if (isRefusal(result)) throw new Error(`refused: ${result.code} ${result.message}`)
  return result as Exclude<T, Refusal>
}

/** Code and message of a refusal, or a failed test. */
export function refused(result: unknown): Refusal {
  if (!isRefusal(result)) throw new Error('this was not refused')
  return result
}

/** The person at the provider's page; returns where the provider sends the browser. */
export async function consent(pageUrl: string, decision: 'allow' | 'deny' = 'allow') {
  const html = await (await fetch(pageUrl)).text()
  const request = /name="request" value="([^"]+)"/.exec(html)?.[1]
  if (request === undefined) throw new Error(`the provider shows no form: ${html}`)
  const scopes = [...html.matchAll(/name="scope" value="([^"]+)"/g)].map(([, scope = '']) => scope)
  const form = new URLSearchParams({ request, decision })
  for (const scope of scopes) form.append('scope', scope)
  const answer = await fetch(new URL('/oauth2_user/authorize2', pageUrl), {
    ...{ method: 'POST', body: form, redirect: 'manual' },
  })
  const location = answer.headers.get('location')
  if (location === null) throw new Error(`the provider sends nobody back: ${await answer.text()}`)
  return new URL(location)
}

/** A browser with its one cookie, back from the provider. */
export async function goThrough(
  room: Room,
  request: Partial<FlowRequest> = {},
  decision: 'allow' | 'deny' = 'allow',
) {
  const flow = granted(await beginFlow(room, { provider: 'withings', ...request }))
  const opened = granted(await openLink(room, linkOf(flow.link)))
  const back = await consent(opened.redirectTo, decision)
  const cookie = (name: string) => (name === opened.cookie.name ? opened.cookie.value : undefined)
  return { flow, opened, back, cookie }
}

export async function connectAccount(room: Room, request: Partial<FlowRequest> = {}) {
  const { back, cookie } = await goThrough(room, request)
  const parameters = back.searchParams
  return granted(await finish(room, { provider: 'withings', parameters, cookie }))
}

/** The capability at the end of a link. */
export const linkOf = (link: string): string => link.slice(link.lastIndexOf('/') + 1)

/** Bodies of the records of one kind, oldest first. */
export async function recordsOf(store: Store, kind: string): Promise<Record<string, unknown>[]> {
  const rows = await store.db
    .selectFrom('record')
    .select('body')
    .where('kind', '=', kind)
    .orderBy('n')
    .execute()
  return rows.map(({ body }) => JSON.parse(body))
}

/** Everything that the audit log holds, as text: to look for what must not be in it. */
export async function wholeLog(store: Store): Promise<string> {
  const records = await store.db.selectFrom('record').select('body').execute()
  const disclosures = await store.db.selectFrom('disclosure').select('fields').execute()
  return JSON.stringify([records, disclosures])
}

export const certificate = `-----BEGIN CERTIFICATE-----
MIIBoDCCAUagAwIBAgIUTKgcToTwz2VXu4zGPTx+4bWHLlAwCgYIKoZIzj0EAwIw
HDEaMBgGA1UEAwwRb2tvcm8gZWdyZXNzIHRlc3QwIBcNMjYxMTIzMTEyNTEyWhgP
MjEyNjEwMzAxMTI1MTJaMBwxGjAYBgNVBAMMEW9rb3JvIGVncmVzcyB0ZXN0MFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEgOmMb/J2ZhU5Ny0MWrgEqNnbqdFqvE+O
AawkjxNCoWrZGFljOT7MRPWn9aGJgBSLjSqDZalTU8o+a+fGCqePYqNkMGIwHQYD
VR0OBBYEFBiH76FGyVwOr/Z7sBcr4Lsd9KtyMB8GA1UdIwQYMBaAFBiH76FGyVwO
r/Z7sBcr4Lsd9KtyMA8GA1UdEwEB/wQFMAMBAf8wDwYDVR0RBAgwBocEfwAAATAK
BggqhkjOPQQDAgNIADBFAiEAteMiwfFA8Z4dKKYOxSQwflScMhV8AX+KfnVylV3B
StsCIBkJ9QKQYkQAUHFwb36BFPyij/I5hUT/fWqfHeo7UYGM
-----END CERTIFICATE-----`
export const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgQMpRtvTjOdXe/T4D
OFn6JVhGcGqBdov+7IrGdJI/OMChRANCAASA6Yxv8nZmFTk3LQxauASo2dup0Wq8
T44BrCSPE0KhatkYWWM5PsxE9af1oYmAFIuNKoNlqVNTyj5r58YKp49i
-----END PRIVATE KEY-----`

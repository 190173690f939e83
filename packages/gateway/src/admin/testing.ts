import { randomBytes } from 'node:crypto'
import { createCredentials } from '../connections/credentials.ts'
import { openRoom, type TestClock, testClock } from '../connections/testing.ts'
import { Secret } from '../secret.ts'
import type { Store } from '../store/store.ts'
import { openSigningKeys } from '../tokens/signing-keys.ts'
import { openVault } from '../vault/keys.ts'
import { localRootKey } from '../vault/local-root-key.ts'
import type { AdminDeps } from './deps.ts'
import { adminRoutes } from './routes.ts'

export type Answered = {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: tests read answers as clients without types do
  readonly body: any
  readonly headers: Headers
}

/** The real admin API on a real store, with no socket in between. */
export async function openAdmin(
  store: Store,
  clock: TestClock = testClock(),
  sandbox: Parameters<typeof openRoom>[2] = null,
) {
  const room = await openRoom(store, clock, sandbox)
  const rootKey = localRootKey(new Secret(new Uint8Array(32)), randomBytes)
  const vault = await openVault({ store, rootKey, clock, random: randomBytes })
  const faults: unknown[] = []
  const deps: AdminDeps = {
    ...{ ...room, vault, gatewayVersion: '0.0.0-test' },
    credentials: createCredentials(room),
    signingKeys: await openSigningKeys({ store, vault, clock }),
    onFault: (error) => faults.push(error),
  }
  const routes = adminRoutes(deps)
  const call = async (method: string, path: string, body?: unknown): Promise<Answered> => {
    const headers = { 'content-type': 'application/json' }
    const init = body === undefined ? { method } : { method, headers, body: JSON.stringify(body) }
    const response = await routes.request(`/api/v1${path}`, init)
    return { status: response.status, body: await response.json(), headers: response.headers }
  }
  return { room, routes, call, faults }
}

import { mkdir, readFile, stat } from 'node:fs/promises'
import type { Server } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { getRequestListener } from '@hono/node-server'
import { guardAdmin } from './admin/access.ts'
import { findAdminToken } from './admin/admin-token.ts'
import { closeDeadBoots, closeOwnBoot } from './audit/boots.ts'
import { loadCatalog } from './catalog/load.ts'
import { adminSocketPath } from './config/settings.ts'
import { type Config, listenUrl } from './config.ts'
import { createEgress } from './connections/egress.ts'
import { Malfunction } from './errors.ts'
import { closeServer, createDoor, listenOn, listenOnSocket } from './listen.ts'
import { type Foundation, type Log, newRequestId, openRooms, type Rooms } from './rooms.ts'
import { BootClosed } from './store/dialect/database.ts'
import { type Lock, lockFolder } from './store/lock.ts'
import { openStore } from './store/open.ts'
import { openSigningKeys } from './tokens/signing-keys.ts'
import { findRootKey, openVault } from './vault/keys.ts'
import type { Clock, Random } from './words.ts'

export type AppContext = {
  readonly clock: Clock
  readonly random: Random
  readonly gatewayVersion: string
  readonly log: Log
  /** The database must not be used any more (a failed fsync): end the process, at once. */
  readonly onFatal: (error: Error) => void
}

export type App = {
  /** The admin API for this process itself: `/api/v1/…`, no listener needed. */
  admin(request: Request): Promise<Response>
  /** Starts the public and the admin listener and the unix socket. */
  serve(): Promise<{ readonly publicUrl: string; readonly adminUrl: string }>
  /** Stops listening, lets running calls finish for ten seconds, and leaves all durable. */
  close(): Promise<void>
}

/** Calls under way at the end may take this long. */
const graceMs = 10_000

/**
 * Opens the gateway on its data folder, for this process alone. Throws Malfunction with one clear
 * line when another process has the folder, the key is wrong or the database can't be used.
 */
export async function openApp(config: Config, context: AppContext): Promise<App> {
  await mkdir(config.dataDir, { recursive: true, mode: 0o700 })
  const lock = lockFolder(join(config.dataDir, 'lock'))
  if (!lock) throw new Malfunction('conflict', `Another okoro is using ${config.dataDir}.`)
  try {
    let isClosing = false
    const onFatal = (error: Error) => {
      // Closed by ourselves: what is still written then was late.
      if (!(isClosing && error instanceof BootClosed)) context.onFatal(error)
    }
    const app = createApp(await lay(config, { ...context, onFatal }), lock)
    const close = async () => {
      isClosing = true
      await app.close()
    }
    return { ...app, close }
  } catch (error) {
    lock.release()
    throw error
  }
}

async function lay(config: Config, context: AppContext): Promise<Foundation> {
  const { clock, random, gatewayVersion, log, onFatal } = context
  const { dataDir, databaseUrl, masterKey } = config
  const sandboxes = config.sandbox ?? new Map<string, string>()
  const folders = [await ownProviders(), ...(config.providersDir ? [config.providersDir] : [])]
  const catalog = await loadCatalog(folders, sandboxes)
  const sandboxCa = config.sandboxCa === null ? null : await readFile(config.sandboxCa, 'utf8')
  const store = await openStore(
    databaseUrl === null
      ? { kind: 'sqlite', path: join(dataDir, 'okoro.db') }
      : { kind: 'postgres', url: databaseUrl },
    { node: config.node, clock, random, gatewayVersion, onFatal },
  )
  try {
    const source = masterKey
      ? ({ kind: 'given', text: masterKey } as const)
      : ({ kind: 'file', dataDir } as const)
    const rootKey = await findRootKey(source, { store, random })
    const vault = await openVault({ store, rootKey, clock, random })
    const signingKeys = await openSigningKeys({ store, vault, clock })
    // On PostgreSQL others may run: the holder of the sequencer's lease looks after the dead.
    const crashed = store.dialect === 'sqlite' ? await closeDeadBoots(store) : 0
    if (crashed > 0) log.warn({ crashed }, 'calls of a run that died were closed as crashed')
    for (const doubt of await store.doubts()) {
      const level = doubt.state === 'fail' ? 'error' : 'warn'
      log[level](doubt, `the database runs with ${doubt.setting}=${doubt.value}`)
    }
    const egress = createEgress({
      sandboxOrigins: new Set(sandboxes.values()),
      ...(sandboxCa !== null && { sandboxCa }),
    })
    const rest = { clock, random, gatewayVersion, log, sandboxCa, egress }
    return { config, store, vault, signingKeys, catalog, ...rest }
  } catch (error) {
    await store.close()
    throw error
  }
}

/** `providers/` of the published package, or of the repo in development. */
async function ownProviders(): Promise<string> {
  const beside = ['../providers', '../../../providers'].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  )
  for (const path of beside) if (await stat(path).catch(() => null)) return path
  throw new Malfunction('internal_error', 'The providers folder is missing: install okoro anew.')
}

const listenerOf = (answer: (request: Request) => Response | Promise<Response>) =>
  getRequestListener((request) => answer(wholeRequest(request)), { overrideGlobalObjects: false })

/** The adapter's request is no real one, and hono copies those that declare no length. */
function wholeRequest(request: Request): Request {
  if (request.headers.has('content-length')) return request
  const { url, method, headers } = request
  const hasBody = !['GET', 'HEAD', 'DELETE'].includes(method)
  return new Request(url, {
    method,
    headers,
    ...(hasBody && { body: request.body, duplex: 'half' }),
  })
}

function createApp(foundation: Foundation, lock: Lock): App {
  const { config, store, random, log } = foundation
  let publicUrl = config.publicUrl
  let rooms: Rooms | null = null
  const opened = (): Rooms => {
    rooms ??= openRooms(foundation, publicUrl)
    return rooms
  }
  const nextRequestId = () => newRequestId(random)
  const publicDoor = createDoor({
    ...{ publicUrl: () => publicUrl, nextRequestId },
    serve: (request, response, requestId) => opened().public(request, response, requestId),
  })
  const socketDoor = createDoor({
    ...{ publicUrl: () => publicUrl, nextRequestId },
    serve: listenerOf((request) => opened().admin.fetch(request)),
  })
  const openAdminDoor = async (): Promise<Server> => {
    const { adminHost, dataDir } = config
    const tokenHash = config.adminToken ?? (await findAdminToken(dataDir, random))
    const guarded = guardAdmin(opened().admin, { tokenHash, adminHost, publicUrl, random })
    return createDoor({
      ...{ publicUrl: () => publicUrl, nextRequestId },
      serve: listenerOf(guarded.fetch),
    })
  }
  let adminDoor: Server | null = null

  return {
    admin: async (request) => await opened().admin.fetch(request),
    serve: async () => {
      const { host, port, adminHost, adminPort, dataDir } = config
      const bound = await listenOn(publicDoor, { host, port, setting: 'OKORO_PORT' })
      if (port === 0) {
        publicUrl = publicUrl.replace(/:0$/, `:${bound}`)
        // Whoever used the admin API before had rooms that did not know the port yet.
        await rooms?.close()
        rooms = null
      }
      adminDoor = await openAdminDoor()
      const place = { host: adminHost, port: adminPort, setting: 'OKORO_ADMIN_PORT' }
      const adminUrl = listenUrl(adminHost, await listenOn(adminDoor, place))
      await listenOnSocket(socketDoor, adminSocketPath(dataDir))
      log.info({ public_url: publicUrl, admin_url: adminUrl }, 'okoro is serving')
      return { publicUrl, adminUrl }
    },
    close: async () => {
      await Promise.all(
        [publicDoor, socketDoor, ...(adminDoor ? [adminDoor] : [])].map((server) =>
          closeServer(server, graceMs),
        ),
      )
      await rooms?.close()
      // What can't be written now, the next start writes.
      await closeOwnBoot(store).catch((error) =>
        log.warn({ err: error }, 'the log could not be closed; the next start will'),
      )
      await store.close()
      await foundation.egress.close()
      lock.release()
    },
  }
}

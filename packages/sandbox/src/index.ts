import { register } from './applications.ts'
import { Faults } from './control/faults.ts'
import { ReceivedLog } from './control/received.ts'
import { createControlServer } from './control/server.ts'
import { openLines } from './file.ts'
import { close, listen } from './http/listen.ts'
import { type LimitSettings, strict } from './limits/settings.ts'
import { createApiServer } from './server.ts'
import { createWorld } from './world.ts'

export { unlimited } from './limits/settings.ts'

export type SandboxOptions = {
  /** Where the API listens; 127.0.0.1 when absent. */
  readonly host?: string
  /** 0, the default, lets the system choose. */
  readonly port?: number
  /** Always on loopback. 0, the default, lets the system choose; null opens no control listener. */
  readonly controlPort?: number | null
  /** Keeps tokens, applications and subscriptions in this folder; in memory when absent. */
  readonly dataDir?: string
  /** Adds a line of JSON to this file for every request that the API receives. */
  readonly logFile?: string
  /** The demo person's life follows from it: the same seed, the same past. */
  readonly seed?: string
  /** The switches of both kinds of 601; those that are not named are strict. */
  readonly limits?: Partial<LimitSettings>
  /** The machine's clock, epoch milliseconds. */
  readonly now?: () => number
}

export type Sandbox = {
  readonly url: string
  readonly controlUrl: string | null
  readonly close: () => Promise<void>
  /** @throws Error when the application is not one that the provider would register. */
  registerApplication(application: {
    clientId: string
    clientSecret: string
    redirectUris: readonly string[]
  }): void
}

/**
 * Starts a local stand-in for the Withings API: same URLs, same quirks, same errors.
 *
 * Account pages (`/oauth2_user/authorize2`) and API share one origin. Resolves when both listeners
 * accept connections.
 *
 * @throws Error when a port is taken or the data folder cannot be read.
 * @example
 * const sandbox = await startWithings({ seed: 'demo' })
 * sandbox.registerApplication({ clientId: 'c', clientSecret: 's', redirectUris: [callback] })
 */
export async function startWithings(options: SandboxOptions = {}): Promise<Sandbox> {
  const {
    host = '127.0.0.1',
    port = 0,
    controlPort = 0,
    seed = 'okoro',
    dataDir,
    logFile,
  } = options
  const limits = { ...strict, ...options.limits }
  const world = createWorld({ dataDir, seed, limits, wallMs: options.now ?? Date.now })
  const log = logFile === undefined ? null : openLines(logFile)
  const listening = { world, received: new ReceivedLog(log), faults: new Faults() }
  const api = createApiServer(listening)
  const control = controlPort === null ? null : createControlServer(listening)
  const closeAll = async () => {
    world.deliveries.close()
    await Promise.all([close(api), control === null ? null : close(control)])
    log?.close()
  }
  try {
    const url = await listen(api, host, port)
    const controlUrl =
      control === null ? null : await listen(control, '127.0.0.1', controlPort ?? 0)
    // What a killed sandbox left undelivered goes on, whether or not its callbacks are there yet.
    world.deliveries.run().catch(console.error)
    return {
      url,
      controlUrl,
      close: closeAll,
      registerApplication: (application) => {
        const complaint = register(world, application)
        if (complaint !== null) throw new Error(`cannot register the application: ${complaint}`)
      },
    }
  } catch (error) {
    await closeAll()
    throw error
  }
}

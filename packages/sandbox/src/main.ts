import { parseArgs } from 'node:util'
import { type SandboxOptions, startWithings } from './index.ts'

/** The sandbox as a process: prints its addresses as one JSON line, ends on SIGTERM or SIGINT. */
async function main(): Promise<void> {
  const sandbox = await startWithings(readOptions())
  const stop = () => void sandbox.close()
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
  console.log(JSON.stringify({ url: sandbox.url, control_url: sandbox.controlUrl }))
}

function readOptions(): SandboxOptions {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '0' },
      'control-port': { type: 'string', default: '0' },
      data: { type: 'string' },
      seed: { type: 'string' },
      log: { type: 'string' },
      'duplicate-guard': { type: 'string', default: 'on' },
      'after-401': { type: 'string', default: 'on' },
      'requests-per-minute': { type: 'string', default: '120' },
    },
  })
  return {
    port: readPort('--port', values.port),
    controlPort: readPort('--control-port', values['control-port']),
    ...(values.data === undefined ? {} : { dataDir: values.data }),
    ...(values.log === undefined ? {} : { logFile: values.log }),
    limits: {
      duplicateGuard: readSwitch('--duplicate-guard', values['duplicate-guard']),
      after401: readSwitch('--after-401', values['after-401']),
      requestsPerMinute: readLimit('--requests-per-minute', values['requests-per-minute']),
    },
    ...(values.seed === undefined ? {} : { seed: values.seed }),
  }
}

function readPort(name: string, text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  if (port <= 65_535) return port
  throw new Error(`${name} must be a number from 0 to 65535`)
}

function readSwitch(name: string, text: string): boolean {
  if (text === 'on' || text === 'off') return text === 'on'
  throw new Error(`${name} must be on or off`)
}

function readLimit(name: string, text: string): number | null {
  if (text === 'off') return null
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new Error(`${name} must be a number from 1 on, or off`)
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})

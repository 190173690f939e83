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
    },
  })
  return {
    port: readPort('--port', values.port),
    controlPort: readPort('--control-port', values['control-port']),
    ...(values.data === undefined ? {} : { dataDir: values.data }),
    ...(values.log === undefined ? {} : { logFile: values.log }),
    ...(values.seed === undefined ? {} : { seed: values.seed }),
  }
}

function readPort(name: string, text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  if (port <= 65_535) return port
  throw new Error(`${name} must be a number from 0 to 65535`)
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})

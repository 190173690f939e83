import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { homedir, hostname } from 'node:os'
import pino from 'pino'
import { openApp } from './app.ts'
import { runCli } from './cli/run.ts'
import { createReservoir } from './reservoir.ts'

/** Where the outside world is read, once: environment, arguments, clock, randomness, signals. */

/** EX_IOERR of sysexits.h: the disk failed an fsync. Start again, and the log recovers. */
const diskFailed = 74

// Whatever is written (database, lock, socket) is for this user alone.
process.umask(0o077)

// A reader that has seen enough (`okoro config | head`) is no fault.
process.stdout.on('error', (error: Error & { code?: string }) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())

const random = createReservoir((size) => randomBytes(size))
const { version: gatewayVersion } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
) as { version: string }

process.exitCode = await runCli({
  ...{ argv: process.argv.slice(2), env: process.env, home: homedir(), hostname: hostname() },
  ...{ stdin: process.stdin, stdout: process.stdout, stderr: process.stderr },
  ...{ stop: stop.signal, clock: Date.now, random, gatewayVersion },
  readFile: (path) => {
    try {
      return readFileSync(path, 'utf8')
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
      throw error
    }
  },
  openApp: (config) => {
    const log = pino(
      { level: config.logLevel, base: null },
      pino.destination({ dest: 2, sync: true }),
    )
    return openApp(config, {
      ...{ clock: Date.now, random, gatewayVersion, log },
      onFatal: (error) => {
        log.fatal({ err: error }, 'the database must not be used any more')
        process.exit(diskFailed)
      },
    })
  },
})

import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { constants, homedir, hostname } from 'node:os'
import pino from 'pino'
import { openApp } from './app.ts'
import { runCli } from './cli/run.ts'
import type { ProcessDoor } from './cli/session.ts'
import { createReservoir } from './reservoir.ts'
import { BootClosed } from './store/dialect/database.ts'

/** Where the outside world is read, once: environment, arguments, clock, randomness, signals. */

/** EX_IOERR of sysexits.h: the disk failed an fsync. Start again, and the log recovers. */
const diskFailed = 74
/** EX_TEMPFAIL: another node took this one for dead. Start again, as a new boot. */
const bootClosed = 75

// Whatever is written (database, lock, socket) is for this user alone.
const ownUmask = 0o077
const givenUmask = process.umask(ownUmask)

// A reader that has seen enough (`okoro config | head`) is no fault.
process.stdout.on('error', (error: Error & { code?: string }) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})
// That a terminal has gone away is no reason to end what it was told about.
process.stderr.on('error', () => {})

/** Standard error may be a file on a full disk: lines wait, up to 1 MiB, and no request fails. */
function openLogStream() {
  const stream = pino.destination({ dest: 2, sync: true, maxLength: 1024 * 1024 })
  stream.on('error', () => {})
  return stream
}

const stop = new AbortController()
const stopSignals = ['SIGINT', 'SIGTERM'] as const
const abort = () => stop.abort()
for (const signal of stopSignals) process.once(signal, abort)

const takeSignals: ProcessDoor['takeSignals'] = (signals, receive) => {
  for (const signal of stopSignals) process.off(signal, abort)
  for (const signal of signals) process.on(signal, receive)
  return () => {
    for (const signal of signals) process.off(signal, receive)
  }
}

const startChild: ProcessDoor['startChild'] = ([file = '', ...args], env) => {
  // What a command writes is not ours: it gets the umask that we were given.
  process.umask(givenUmask)
  try {
    return spawn(file, args, { env, stdio: 'inherit' })
  } finally {
    process.umask(ownUmask)
  }
}

const random = createReservoir((size) => randomBytes(size))
const { version: gatewayVersion } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
) as { version: string }

const status = await runCli({
  ...{ argv: process.argv.slice(2), env: process.env, home: homedir(), hostname: hostname() },
  ...{ stdin: process.stdin, stdout: process.stdout, stderr: process.stderr },
  ...{ stop: stop.signal, clock: Date.now, random, gatewayVersion, takeSignals, startChild },
  stopItself: () => void process.kill(process.pid, 'SIGSTOP'),
  readFile: (path) => {
    try {
      return readFileSync(path, 'utf8')
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
      throw error
    }
  },
  openApp: (config) => {
    const log = pino({ level: config.logLevel, base: null }, openLogStream())
    return openApp(config, {
      ...{ clock: Date.now, random, gatewayVersion, log },
      onFatal: (error) => {
        log.fatal({ err: error }, 'the database must not be used any more')
        process.exit(error instanceof BootClosed ? bootClosed : diskFailed)
      },
    })
  },
})

if (typeof status === 'number') {
  process.exitCode = status
} else {
  // Where the signal is ignored, as nohup does it, the code says the same.
  process.exitCode = 128 + constants.signals[status]
  process.kill(process.pid, status)
}

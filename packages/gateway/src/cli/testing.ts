import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { after } from 'node:test'
import { openApp } from '../app.ts'
import { runCli } from './run.ts'
import type { ExitStatus } from './session.ts'

export type Ended = {
  readonly code: ExitStatus
  readonly stdout: string
  readonly stderr: string
  /** Standard output, where it is JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests read results as scripts without types do
  readonly json: any
}

export type Running = {
  readonly stdin: PassThrough
  readonly ended: Promise<Ended>
  /** Ctrl-C. */
  stop(): void
  /** Any signal, for a command that takes them. */
  signal(signal: NodeJS.Signals): void
  /** Resolves with the first group once this was printed, on either stream. */
  printed(pattern: RegExp): Promise<string>
}

export type Options = {
  readonly env?: Readonly<Record<string, string>>
  /** Standard input, whole; it ends then. */
  readonly input?: string
  /** Both ends are a terminal. */
  readonly isTerminal?: boolean
  /** Reaches a command that takes signals as soon as it does. */
  readonly earlySignal?: NodeJS.Signals
}

export type Folder = {
  readonly dataDir: string
  start(argv: readonly string[], options?: Options): Running
  run(argv: readonly string[], options?: Options): Promise<Ended>
}

/** The whole CLI on a data folder of its own, with the real gateway behind it. */
export function openFolder(): Folder {
  const home = mkdtempSync(join(tmpdir(), 'okoro-cli-'))
  const stops: AbortController[] = []
  after(() => {
    for (const stop of stops) stop.abort()
  })
  after(() => rmSync(home, { recursive: true, force: true }))
  const dataDir = join(home, 'data')
  const base = { OKORO_DATA_DIR: dataDir, OKORO_PORT: '0', OKORO_ADMIN_PORT: '0' }
  const start: Folder['start'] = (
    argv,
    { env = {}, input, isTerminal = false, earlySignal } = {},
  ) => {
    const stop = new AbortController()
    stops.push(stop)
    const [stdin, stdout, stderr] = [
      terminal(isTerminal),
      terminal(isTerminal),
      terminal(isTerminal),
    ]
    if (input !== undefined) stdin.end(input)
    const signals = new EventEmitter()
    const seen = [collect(stdout), collect(stderr)] as const
    const ended = runCli({
      ...{ argv, env: { ...base, ...env }, home, hostname: 'box', stdin, stdout, stderr },
      ...{ stop: stop.signal, clock: Date.now, random: randomBytes, gatewayVersion: '0.0.0-test' },
      readFile: (path) => (existsSync(path) ? readFileSync(path, 'utf8') : null),
      openApp: (config) => openApp(config, context),
      takeSignals: (taken, receive) => {
        for (const signal of taken) signals.on(signal, receive)
        if (earlySignal) receive(earlySignal)
        return () => signals.removeAllListeners()
      },
      stopItself: () => {},
      startChild: ([file = '', ...args], childEnv) => {
        const child = spawn(file, args, { env: childEnv, stdio: ['ignore', 'pipe', 'pipe'] })
        child.stdout.on('data', (chunk: Buffer) => stdout.write(chunk))
        child.stderr.on('data', (chunk: Buffer) => stderr.write(chunk))
        return child
      },
    }).then((code) => endingOf(code, seen[0].text(), seen[1].text()))
    return {
      ...{ stdin, ended, stop: () => stop.abort() },
      signal: (signal) => void signals.emit(signal, signal),
      printed: async (pattern) => {
        for (let left = 600; left > 0; left -= 1) {
          const found = pattern.exec(seen[0].text()) ?? pattern.exec(seen[1].text())
          if (found) return found[1] ?? found[0]
          await new Promise((resolve) => setTimeout(resolve, 25))
        }
        throw new Error(`never printed ${pattern}: ${seen[0].text()}${seen[1].text()}`)
      },
    }
  }
  const run: Folder['run'] = (argv, options) => {
    const running = start(argv, options)
    if (options?.input === undefined && !options?.isTerminal) running.stdin.end()
    return running.ended
  }
  return { dataDir, start, run }
}

const silent = { info: () => {}, warn: () => {}, error: () => {} }
const context = {
  ...{ clock: Date.now, random: (size: number) => randomBytes(size), log: silent },
  gatewayVersion: '0.0.0-test',
  onFatal: (error: Error) => {
    throw error
  },
}

const terminal = (isTTY: boolean) =>
  Object.assign(new PassThrough(), isTTY ? { isTTY, columns: 100, setRawMode: () => {} } : {})

function collect(stream: PassThrough) {
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  return { text: () => Buffer.concat(chunks).toString('utf8') }
}

function endingOf(code: ExitStatus, stdout: string, stderr: string): Ended {
  return {
    ...{ code, stdout, stderr },
    get json() {
      return JSON.parse(stdout)
    },
  }
}

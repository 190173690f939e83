import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'

/** One thing that is measured: a process that answers HTTP on loopback. */
export type Peer = {
  readonly name: string
  /** What the load sends; a token runs out, so it is asked for before each sample. */
  request(): Promise<Request>
  /** Its processes; none for the upstream itself, whose CPU time is nobody's overhead. */
  readonly pids: () => readonly number[]
  /** Begins to watch the event loop; the function that is returned says what was seen. */
  watch?(): Promise<() => Promise<LoopDelay>>
  close(): Promise<void>
}

export type Request = {
  readonly port: number
  readonly path: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string
}

/** Milliseconds between two turns of a 1 ms timer: about 1 when nothing is in the way. */
export type LoopDelay = { readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number }

/** The proxies have one core, load and upstream the other: what they cost can be told apart. */
export const cores = { proxy: 1, rest: 0 } as const

/** Started on one core; its output goes to `log` until it has said `ready`. */
export async function startPinned(
  core: number,
  command: readonly string[],
  options: { readonly ready: RegExp; readonly env?: NodeJS.ProcessEnv; readonly cwd?: string },
): Promise<{ readonly child: ChildProcess; readonly match: RegExpExecArray }> {
  const { PATH, HOME } = process.env
  const child = spawn('taskset', ['-c', `${core}`, ...command], {
    ...{ stdio: ['ignore', 'pipe', 'pipe'], env: { PATH, HOME, ...options.env } },
    ...(options.cwd !== undefined && { cwd: options.cwd }),
  })
  let output = ''
  const match = await new Promise<RegExpExecArray>((resolve, reject) => {
    const read = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-10_000)
      const found = options.ready.exec(output)
      if (found) resolve(found)
    }
    child.stdout?.on('data', read)
    child.stderr?.on('data', read)
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`${command[0]} ended with ${code}: ${output}`)))
  })
  return { child, match }
}

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  await once(child, 'exit')
}

export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  await once(probe, 'close')
  if (typeof address !== 'object' || address === null) throw new Error('no port')
  return address.port
}

/** The body that every peer is sent, 340 bytes of JSON. */
export const sentBody = JSON.stringify({ query: 'x'.repeat(328) })

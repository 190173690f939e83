import type { ChildProcess } from 'node:child_process'
import type { ExitStatus, Session } from '../session.ts'
import { endingLike, isInForeground, isStopped, mustPassOn } from './signals.ts'

/** How a command ended, as our own ending; `message` says why it never began. */
export type ChildEnd = { readonly status: ExitStatus; readonly message: string | null }

/** What a signal does just now; its meaning changes as the command begins and ends. */
export type Receiver = { receive: (signal: NodeJS.Signals) => void }

type Outside = Pick<Session, 'startChild' | 'stopItself' | 'readFile' | 'input'>

type Command = {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly receiver: Receiver
}

/** What a shell answers for a command that is not there, and for one that does not run. */
const [notFound, notExecutable] = [127, 126]

/** Milliseconds between two looks whether the command was stopped. */
const stopPollMs = 250

/** Runs a command in our place, passing on what signals are for it, and resolves with its end. */
export function runChild(outside: Outside, { argv, env, receiver }: Command): Promise<ChildEnd> {
  return new Promise((resolve) => {
    try {
      const child = outside.startChild(argv, env)
      receiver.receive = (signal) => {
        if (mustPassOn(signal, hasTerminal(outside))) child.kill(signal)
      }
      followStops(outside, child)
      child.once('error', (error) => resolve(notStarted(error)))
      child.once('exit', (code, signal) => {
        const status = signal === null ? (code ?? 1) : endingLike(signal)
        resolve({ status, message: null })
      })
    } catch (error) {
      // What the system refuses outright, such as too long a list of arguments.
      resolve(notStarted(error))
    }
  })
}

/** Where there is no /proc, a terminal on standard input says about the same. */
function hasTerminal({ readFile, input }: Outside): boolean {
  const stat = readFile('/proc/self/stat')
  return stat === null ? input.isTerminal : isInForeground(stat)
}

/**
 * Programs that read keys themselves (`less`, say) answer Ctrl-Z by stopping themselves alone. The
 * shell waits for us: unless we stop, too, the terminal is stuck.
 */
function followStops(outside: Outside, child: ChildProcess): void {
  const look = setInterval(() => {
    const stat = outside.readFile(`/proc/${child.pid}/stat`)
    if (stat === null || !isStopped(stat) || !hasTerminal(outside)) return
    outside.stopItself()
    child.kill('SIGCONT')
  }, stopPollMs)
  child.once('exit', () => clearInterval(look))
  child.once('error', () => clearInterval(look))
}

function notStarted(error: unknown): ChildEnd {
  const code = error instanceof Error && 'code' in error ? error.code : null
  if (code === 'ENOENT') return { status: notFound, message: 'command not found' }
  if (code === 'EACCES') return { status: notExecutable, message: 'permission denied' }
  const message = error instanceof Error ? error.message : String(error)
  return { status: notExecutable, message }
}

import type { ChildProcess } from 'node:child_process'
import type { ExitStatus } from '../session.ts'
import { endingLike } from './signals.ts'

/** How a command ended, as our own ending; `message` says why it never began. */
export type ChildEnd = { readonly status: ExitStatus; readonly message: string | null }

/** What a shell answers for a command that is not there, and for one that does not run. */
const [notFound, notExecutable] = [127, 126]

/** Starts a command and resolves when it has ended; `started` is told of it at once. */
export function runChild(
  start: () => ChildProcess,
  started: (child: ChildProcess) => void,
): Promise<ChildEnd> {
  return new Promise((resolve) => {
    try {
      const child = start()
      started(child)
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

function notStarted(error: unknown): ChildEnd {
  const code = error instanceof Error && 'code' in error ? error.code : null
  if (code === 'ENOENT') return { status: notFound, message: 'command not found' }
  if (code === 'EACCES') return { status: notExecutable, message: 'permission denied' }
  const message = error instanceof Error ? error.message : String(error)
  return { status: notExecutable, message }
}

import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { Failure } from './failure.ts'

export type InputStream = Readable & {
  readonly isTTY?: boolean
  setRawMode?(isRaw: boolean): unknown
}

/** Standard input, one line after the other, whether somebody types or a script pipes. */
export type Input = {
  readonly isTerminal: boolean
  /** The next line, without white space around; null at the end of the input. */
  line(signal?: AbortSignal): Promise<string | null>
  /** The next line, not shown while it is typed. */
  hiddenLine(): Promise<string | null>
  /** All that is left. */
  rest(): Promise<string>
  /** Lets the process end while nobody types any more. */
  close(): void
}

/** Nothing is read before something is asked for: a command that asks for nothing leaves it alone. */
export function createInput(stdin: InputStream): Input {
  const isTerminal = stdin.isTTY === true
  let lines: LineQueue | null = null
  const queue = () => {
    lines ??= createLineQueue(stdin)
    return lines
  }
  return {
    isTerminal,
    line: async (signal) => (await queue().next(signal))?.trim() ?? null,
    hiddenLine: async () => {
      if (!isTerminal) return (await queue().next())?.trim() ?? null
      lines?.close()
      lines = null
      return await readHidden(stdin)
    },
    rest: async () => {
      const all: string[] = []
      for (let line = await queue().next(); line !== null; line = await queue().next()) {
        all.push(line)
      }
      return all.join('\n')
    },
    close: () => {
      lines?.close()
      stdin.pause()
    },
  }
}

type LineQueue = {
  next(signal?: AbortSignal): Promise<string | null>
  close(): void
}

function createLineQueue(stdin: InputStream): LineQueue {
  const reader = createInterface({ input: stdin, terminal: false })
  const waiting: string[] = []
  let isOver = false
  let wake = () => {}
  reader.on('line', (line) => {
    waiting.push(line)
    wake()
  })
  reader.on('close', () => {
    isOver = true
    wake()
  })
  return {
    next: async (signal) => {
      while (waiting.length === 0 && !isOver && signal?.aborted !== true) {
        await new Promise<void>((resolve) => {
          wake = resolve
          signal?.addEventListener('abort', () => resolve(), { once: true })
        })
      }
      return waiting.shift() ?? null
    },
    close: () => reader.close(),
  }
}

const enter = new Set(['\r', '\n'])
const erase = new Set(['\b', '\x7f'])

/** Raw mode: the terminal echoes nothing, so every key is handled here. */
function readHidden(stdin: InputStream): Promise<string> {
  return new Promise((resolve, reject) => {
    let typed = ''
    const end = (finish: () => void) => {
      stdin.off('data', receive)
      stdin.setRawMode?.(false)
      stdin.pause()
      finish()
    }
    const receive = (chunk: Buffer) => {
      for (const key of chunk.toString('utf8')) {
        if (enter.has(key)) return end(() => resolve(typed.trim()))
        if (key === '\x03') return end(() => reject(new Failure('interrupted', 'Stopped.')))
        typed = erase.has(key) ? typed.slice(0, -1) : typed + key
      }
    }
    stdin.setRawMode?.(true)
    stdin.on('data', receive)
    stdin.resume()
  })
}

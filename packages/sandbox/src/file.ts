import {
  appendFileSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'

export type StateFile = {
  readonly read: () => string | null
  /** Replaces the content as a whole: after a crash the file holds the old text or the new one. */
  readonly write: (text: string) => void
}

export type Lines = {
  /** Adds a line at the end. @throws Error when it cannot be written whole. */
  readonly write: (line: string) => void
  readonly close: () => void
}

/** Opens a file for lines; made, readable by its owner alone, when it is missing. */
export function openLines(path: string): Lines {
  const descriptor = openSync(path, 'a', 0o600)
  return {
    write: (line) => appendFileSync(descriptor, `${line}\n`),
    close: () => closeSync(descriptor),
  }
}

/** A small file, readable by its owner alone, in a folder that is made when it is missing. */
export function openFile(folder: string, name: string): StateFile {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, name)
  return {
    read: () => (existsSync(path) ? readFileSync(path, 'utf8') : null),
    write: (text) => {
      const temporary = `${path}.tmp`
      withDescriptor(openSync(temporary, 'w', 0o600), (descriptor) => {
        writeSync(descriptor, text)
        fsyncSync(descriptor)
      })
      renameSync(temporary, path)
      withDescriptor(openSync(folder, 'r'), fsyncSync)
    },
  }
}

function withDescriptor(descriptor: number, use: (descriptor: number) => void): void {
  try {
    use(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

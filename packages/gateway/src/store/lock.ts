import { DatabaseSync } from 'node:sqlite'
import { Malfunction } from '../errors.ts'

export type Lock = { release(): void }

/**
 * Takes a folder for this process alone, or returns null when another one has it. It is the
 * operating system's lock on an empty SQLite file, so it ends with the process, however that ends.
 * Throws Malfunction `store_unavailable` when the file can't be made or used.
 */
export function lockFolder(path: string): Lock | null {
  let file: DatabaseSync | null = null
  try {
    file = new DatabaseSync(path)
    file.exec('pragma locking_mode = exclusive; begin exclusive')
    const taken = file
    return { release: () => taken.close() }
  } catch (cause) {
    file?.close()
    if (isTaken(cause)) return null
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new Malfunction('store_unavailable', `The lock ${path} can't be used: ${why}`, { cause })
  }
}

/** SQLITE_BUSY (sqlite.org/rescode.html#busy). */
const isTaken = (error: unknown) =>
  error instanceof Error && 'errcode' in error && error.errcode === 5

import { DatabaseSync } from 'node:sqlite'

export type Lock = { release(): void }

/**
 * Takes a folder for this process alone, or returns null when another one has it. It is the
 * operating system's lock on an empty SQLite file, so it ends with the process, however that ends.
 */
export function lockFolder(path: string): Lock | null {
  const file = new DatabaseSync(path)
  try {
    file.exec('pragma locking_mode = exclusive; begin exclusive')
    return { release: () => file.close() }
  } catch {
    file.close()
    return null
  }
}

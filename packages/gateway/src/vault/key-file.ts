import { link, mkdir, open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Malfunction } from '../errors.ts'
import { Secret } from '../secret.ts'
import type { Random } from '../words.ts'
import { keyBytes } from './aes-gcm.ts'

/**
 * The text of a key file; null when there is none. Throws Malfunction when anyone but its owner
 * may read or write it.
 */
export async function readKeyFile(path: string): Promise<Secret<string> | null> {
  const file = await open(path, 'r').catch(unlessMissing(path))
  if (file === null) return null
  try {
    const { mode } = await file.stat()
    if ((mode & 0o077) === 0) return new Secret(await file.readFile('utf8'))
    const seen = (mode & 0o777).toString(8).padStart(4, '0')
    throw new Malfunction(
      'internal_error',
      `Others than its owner may use the root key file ${path} (mode ${seen}). ` +
        `Run \`chmod 600 ${path}\`; if anyone may have read it, treat its secrets as known.`,
    )
  } finally {
    await file.close()
  }
}

/** Writes a new random key to `path`, as `writeOnce` does. */
export async function writeKeyFile(path: string, random: Random): Promise<void> {
  const text = Buffer.from(random(keyBytes)).toString('base64')
  await writeOnce(path, `${text}\n`, random)
}

/**
 * Writes a file that only its owner may read, unless it is there already, and resolves once a power
 * cut could not take it back. It is there whole or not at all, whenever the process dies; when two
 * do this at once, it has the text of one of them.
 */
export async function writeOnce(path: string, text: string, random: Random): Promise<void> {
  const folder = dirname(path)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const draft = `${path}.${Buffer.from(random(6)).toString('hex')}`
  try {
    await writeDurably(draft, text)
    // A link, unlike a rename, never takes the place of what is there already.
    await link(draft, path).catch(unlessThere)
  } finally {
    await rm(draft, { force: true })
  }
  await syncFolder(folder)
}

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

const codeOf = (error: unknown) =>
  error instanceof Error && 'code' in error ? String(error.code) : 'unknown'

const unlessMissing = (path: string) => (cause: unknown) => {
  const code = codeOf(cause)
  if (code === 'ENOENT') return null
  const message = `The root key file ${path} can't be read (${code}).`
  throw new Malfunction('internal_error', message, { cause })
}

const unlessThere = (error: unknown) => {
  if (codeOf(error) !== 'EEXIST') throw error
}

import { link, mkdir, open, unlink } from 'node:fs/promises'
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

/**
 * Writes a new random key to `path`, readable by its owner alone, and resolves once a power cut
 * could not take it back. When two do this at once, the file has one key, whole.
 */
export async function writeKeyFile(path: string, random: Random): Promise<void> {
  const folder = dirname(path)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const draft = `${path}.${Buffer.from(random(6)).toString('hex')}`
  await writeDurably(draft, `${Buffer.from(random(keyBytes)).toString('base64')}\n`)
  // A link, unlike a rename, never takes the place of a key that is there already.
  await link(draft, path).catch(unlessThere)
  await unlink(draft)
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

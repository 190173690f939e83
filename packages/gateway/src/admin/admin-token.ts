import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hashOfToken } from '../config/settings.ts'
import { Malfunction } from '../errors.ts'
import type { Random } from '../words.ts'

/**
 * The hash of the token in `<dataDir>/admin.token`, which is generated (256 bits, 0600) when there
 * is none. Throws Malfunction when anyone but its owner may read it, or when it is too short.
 */
export async function findAdminToken(dataDir: string, random: Random): Promise<string> {
  const path = join(dataDir, 'admin.token')
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  const token = Buffer.from(random(32)).toString('base64url')
  await writeFile(path, `${token}\n`, { mode: 0o600, flag: 'wx', flush: true }).catch(unlessThere)
  const { mode } = await stat(path)
  if ((mode & 0o077) !== 0) {
    throw new Malfunction(
      'internal_error',
      `Others than its owner may use ${path}: anyone who read it may administer this gateway. ` +
        'Delete the file and start again: a new token is made.',
    )
  }
  const written = (await readFile(path, 'utf8')).trim()
  if (written.length >= 32) return hashOfToken(written)
  const message = `${path} holds no token of 32 characters or more: delete it and start again.`
  throw new Malfunction('internal_error', message)
}

const unlessThere = (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EEXIST') throw error
}

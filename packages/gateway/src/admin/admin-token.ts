import { existsSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { hashOfToken } from '../config/settings.ts'
import { Malfunction } from '../errors.ts'
import { writeOnce } from '../vault/key-file.ts'
import type { Random } from '../words.ts'

/**
 * The hash of the token in `<dataDir>/admin.token`, which is generated (256 bits, 0600) when there
 * is none. Throws Malfunction when anyone but its owner may read it, or when it is too short.
 */
export async function findAdminToken(dataDir: string, random: Random): Promise<string> {
  const path = join(dataDir, 'admin.token')
  if (!existsSync(path)) {
    await writeOnce(path, `${Buffer.from(random(32)).toString('base64url')}\n`, random)
  }
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

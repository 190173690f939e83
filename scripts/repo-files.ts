import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { SourceFile } from './arrows.ts'

export const root = fileURLToPath(new URL('..', import.meta.url))

/** What git has or would add, as paths from the root; deleted files are left out. */
export async function listFiles(): Promise<readonly string[]> {
  const git = (...args: string[]) =>
    promisify(execFile)('git', ['ls-files', '-z', ...args], { cwd: root, maxBuffer: 2 ** 26 })
  const [present, deleted] = await Promise.all([
    git('--cached', '--others', '--exclude-standard'),
    git('--deleted'),
  ])
  const gone = new Set(deleted.stdout.split('\0'))
  return [...new Set(present.stdout.split('\0'))].filter((path) => !gone.has(path)).sort()
}

/** All our TypeScript. */
export async function readSources(): Promise<readonly SourceFile[]> {
  const paths = await listFiles()
  return Promise.all(
    paths
      .filter((path) => /^(?:packages\/[^/]+\/src|scripts|e2e|bench)\/.*\.tsx?$/.test(path))
      .map(async (path) => ({ path, source: await readFile(`${root}${path}`, 'utf8') })),
  )
}

import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { root } from '../scripts/repo-files.ts'

const run = promisify(execFile)

/** Builds the package, installs it in an empty folder and returns its launcher. */
export async function installPackage(folder: string): Promise<string> {
  const app = join(folder, 'app')
  await mkdir(app, { recursive: true })
  const pack = [join(root, 'scripts/pack.ts'), '--out', folder]
  const { stdout } = await run(process.execPath, pack, { cwd: root })
  const tarball = stdout.trim().split('\n').at(-1) ?? ''
  const { NODE_OPTIONS: _, ...env } = process.env
  await run('npm', ['install', '--silent', '--prefix', app, tarball], { cwd: folder, env })
  return join(app, 'node_modules/.bin/okoro')
}

/** The launcher of this repo, which runs the sources as they are. */
export const sourceLauncher = join(root, 'packages/gateway/bin/okoro')

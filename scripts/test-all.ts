/**
 * `npm run test:all [-- …]`: installs what the tests need from Debian or Ubuntu, saying so, and
 * hands over to scripts/test.ts. With nothing missing it installs nothing.
 */
import { spawnSync } from 'node:child_process'
import { findOnPath, missingPrerequisites } from './prerequisites.ts'
import { root } from './repo-files.ts'

function main(): void {
  const problem = installMissing()
  if (problem !== undefined) {
    console.error(problem)
    console.log('0 passed, 1 failed')
    process.exitCode = 1
    return
  }
  const script = `${root}scripts/test.ts`
  process.exitCode = run(process.execPath, [script, ...process.argv.slice(2)])
}

/** Returns one line that says what stands in the way, or nothing. */
function installMissing(): string | undefined {
  const missing = missingPrerequisites()
  if (missing.length === 0) return undefined
  for (const { name, debianPackage, usedFor } of missing) {
    console.log(`Installing ${name} (Debian package ${debianPackage}) for ${usedFor}.`)
  }
  const packages = missing.map(({ debianPackage }) => debianPackage)
  if (findOnPath('apt-get') === undefined) return `No apt-get here: install ${packages.join(', ')}.`
  const isRoot = process.getuid?.() === 0
  if (!isRoot && findOnPath('sudo') === undefined) {
    return `Neither root nor sudo: have an administrator run apt-get install ${packages.join(' ')}.`
  }
  const install = ['install', '--yes', '--no-install-recommends', ...packages]
  if (aptGet(isRoot, ['update']) !== 0) return 'apt-get update failed: see above.'
  if (aptGet(isRoot, install) !== 0) return 'apt-get install failed: see above.'
  const still = missingPrerequisites().map(({ name }) => name)
  return still.length > 0 ? `Installed, but not found: ${still.join(', ')}.` : undefined
}

function aptGet(isRoot: boolean, args: readonly string[]): number {
  const command = ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '--quiet', ...args]
  return isRoot ? run('env', command.slice(1)) : run('sudo', command)
}

function run(command: string, args: readonly string[]): number {
  return spawnSync(command, args, { cwd: root, stdio: 'inherit' }).status ?? 1
}

main()

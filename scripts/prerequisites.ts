/**
 * What the tests and the bench need from the system, one row each. A new prerequisite is one row;
 * the tests that use it import its probe from here, so that they find the same thing that
 * `npm test` looked for.
 */
import { accessSync, constants, readdirSync, realpathSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'

export type Prerequisite = {
  readonly name: string
  readonly usedFor: string
  readonly debianPackage: string
  /** Where it is, or undefined when it is missing. */
  readonly probe: () => string | undefined
}

const bench = 'the bench'

export const prerequisites: readonly Prerequisite[] = [
  {
    name: 'PostgreSQL',
    usedFor: 'the store and end-to-end tests on both databases',
    debianPackage: 'postgresql',
    probe: postgresFolder,
  },
  {
    name: 'Chromium',
    usedFor: 'the pages, in a real browser',
    debianPackage: 'chromium',
    probe: chromiumPath,
  },
  {
    name: 'curl',
    usedFor: 'the lines that the demo shows',
    debianPackage: 'curl',
    probe: () => findOnPath('curl'),
  },
  {
    name: 'jq',
    usedFor: 'the lines that the demo shows',
    debianPackage: 'jq',
    probe: () => findOnPath('jq'),
  },
  {
    name: 'nginx',
    usedFor: bench,
    debianPackage: 'nginx-light',
    probe: nginxPath,
  },
  {
    name: 'taskset',
    usedFor: bench,
    debianPackage: 'util-linux',
    probe: () => findOnPath('taskset'),
  },
]

/** Of the tests, or of the bench, which has needs of its own that no test shares. */
export function missingPrerequisites(
  of: 'the tests' | typeof bench = 'the tests',
): readonly Prerequisite[] {
  return prerequisites.filter(
    ({ usedFor, probe }) => (usedFor === bench) === (of === bench) && probe() === undefined,
  )
}

/** Debian keeps it where only administrators look. */
export function nginxPath(): string | undefined {
  return findOnPath('nginx') ?? ['/usr/sbin/nginx'].find(isExecutable)
}

/** The folder with initdb, pg_ctl and postgres; the newest one where Debian has several. */
export function postgresFolder(): string | undefined {
  const linked = findOnPath('pg_ctl')
  const candidates = [
    ...pathFolders(),
    ...(linked === undefined ? [] : [dirname(realpathSync(linked))]),
    ...debianPostgresFolders(),
  ]
  const binaries = ['initdb', 'pg_ctl', 'postgres']
  return candidates.find((folder) => binaries.every((name) => isExecutable(join(folder, name))))
}

/** Debian calls it chromium; Ubuntu's own package and Google's go by other names. */
export function chromiumPath(): string | undefined {
  return ['chromium', 'chromium-browser', 'google-chrome'].map(findOnPath).find(Boolean)
}

/** The first executable of that name on PATH. */
export function findOnPath(name: string): string | undefined {
  return pathFolders()
    .map((folder) => join(folder, name))
    .find(isExecutable)
}

function pathFolders(): readonly string[] {
  return (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
}

/** Debian keeps the server's binaries out of PATH, one folder per major version. */
function debianPostgresFolders(): readonly string[] {
  const base = '/usr/lib/postgresql'
  try {
    const versions = readdirSync(base).sort((a, b) => Number(b) - Number(a))
    return versions.map((version) => join(base, version, 'bin'))
  } catch {
    return []
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/**
 * `npm test [-- [--long] [part of a path …]]`: runs the tests, all of them or those whose path
 * contains one of the parts. Installs nothing. The last line is `N passed, N failed`.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { glob, mkdtemp, readFile, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { missingPrerequisites } from './prerequisites.ts'
import { root } from './repo-files.ts'
import type { Tally } from './tally.ts'

const testFiles = [
  'packages/*/src/**/*.test.ts',
  'scripts/**/*.test.ts',
  'e2e/**/*.test.ts',
  'bench/**/*.test.ts',
]

/** A test that takes longer has failed. */
const testTimeoutMs = { short: 60_000, long: 3_600_000 }

/** A run that takes longer has a file that never ends, say for a socket that it left open. */
const runTimeoutMs = { short: 20 * 60_000, long: 6 * 3_600_000 }

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { long: { type: 'boolean', default: false } },
  })
  const missing = missingPrerequisites().map(({ name }) => name)
  if (missing.length > 0) {
    console.error(
      `${missing.join(' and ')} missing: type \`npm run test:all\` to install and test.`,
    )
    process.exitCode = 1
    return
  }
  const { passed, failed, complaints } = await runTests(await findFiles(positionals), values.long)
  for (const complaint of complaints) console.log(`✖ ${complaint}`)
  console.log(`${passed} passed, ${failed} failed`)
  process.exitCode = failed > 0 ? 1 : 0
}

async function findFiles(parts: readonly string[]): Promise<readonly string[]> {
  const files = await Array.fromAsync(glob(testFiles, { cwd: root }))
  return files
    .filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)))
    .sort()
}

async function runTests(files: readonly string[], isLong: boolean): Promise<Tally> {
  if (files.length === 0) return { passed: 0, failed: 1, complaints: ['no test file was found'] }
  const folder = await mkdtemp(join(tmpdir(), 'okoro-test-'))
  const tallyFile = join(folder, 'tally.json')
  try {
    const exitCode = await runNode(files, tallyFile, isLong)
    // Missing or empty when the run broke off.
    const tally = await readFile(tallyFile, 'utf8').catch(() => '')
    return judge(tally === '' ? null : JSON.parse(tally), exitCode)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function runNode(
  files: readonly string[],
  tallyFile: string,
  isLong: boolean,
): Promise<number> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const flags = [
    '--test',
    '--disable-warning=ExperimentalWarning',
    `--test-concurrency=${Math.max(2, availableParallelism())}`,
    `--test-timeout=${testTimeoutMs[isLong ? 'long' : 'short']}`,
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    `--test-reporter=${root}scripts/tally.ts`,
    `--test-reporter-destination=${tallyFile}`,
  ]
  const child = spawn(process.execPath, [...flags, ...files], {
    cwd: root,
    stdio: 'inherit',
    env: { ...env, ...(isLong && { OKORO_TEST_LONG: '1' }) },
  })
  // On SIGINT the runner names the files that were still running, and ends them.
  const stop = () => child.kill('SIGINT')
  const timer = setTimeout(stop, runTimeoutMs[isLong ? 'long' : 'short'])
  const [exitCode] = await once(child, 'exit')
  clearTimeout(timer)
  return exitCode ?? 1
}

/** A run that broke off, or that tested nothing, is a failed one whatever was counted. */
function judge(tally: Tally | null, exitCode: number): Tally {
  const { passed, failed, complaints } = tally ?? { passed: 0, failed: 0, complaints: [] }
  if (failed > 0) return { passed, failed, complaints }
  if (exitCode !== 0) {
    return { passed, failed: 1, complaints: [`the test runner ended with code ${exitCode}`] }
  }
  if (passed === 0) return { passed, failed: 1, complaints: ['no test was run'] }
  return { passed, failed, complaints }
}

await main()

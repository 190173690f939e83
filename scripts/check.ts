/** `npm run check`: everything that can be judged without running okoro, one line per step. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { checkArrows } from './arrows.ts'
import { findBannedWords } from './banned-words.ts'
import { findStale } from './generate.ts'
import { listFiles, readSources, root } from './repo-files.ts'

type Step = {
  readonly name: string
  /** What is wrong, one entry each; nothing when all is well. */
  readonly run: () => Promise<readonly string[]>
}

const steps: readonly Step[] = [
  {
    name: 'formatting and lint',
    run: () => runTool('@biomejs/biome/bin/biome', ['check', '--error-on-warnings', '.']),
  },
  { name: 'types', run: () => runTool('typescript/bin/tsc', ['-p', '.']) },
  { name: 'import arrows', run: findWrongArrows },
  { name: 'generated files', run: findStaleFiles },
  { name: 'banned words', run: findWords },
]

async function runTool(bin: string, args: readonly string[]): Promise<readonly string[]> {
  const command = [join(root, 'node_modules', bin), ...args]
  try {
    await promisify(execFile)(process.execPath, command, { cwd: root, maxBuffer: 2 ** 26 })
    return []
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    return [`${stdout}${stderr}`.trim() || String(error)]
  }
}

async function findWrongArrows(): Promise<readonly string[]> {
  const violations = checkArrows(await readSources())
  return violations.map(({ path, line, message }) => `${path}:${line} ${message}`)
}

async function findStaleFiles(): Promise<readonly string[]> {
  const stale = await findStale()
  return stale.map((path) => `${path} is out of date: type \`npm run generate\``)
}

async function findWords(): Promise<readonly string[]> {
  const found = await Promise.all(
    (await listFiles()).map(async (path) => {
      const content = await readFile(join(root, path), 'utf8')
      const isBinary = content.includes('\0')
      const findings = isBinary ? [] : findBannedWords(path, content)
      return findings.map(({ line, message }) => `${path}:${line} ${message}`)
    }),
  )
  return found.flat()
}

async function main(): Promise<void> {
  const running = steps.map(async ({ name, run }) => {
    const startedMs = performance.now()
    const problems = await run().catch((error) => [String(error)])
    return { name, problems, seconds: (performance.now() - startedMs) / 1000 }
  })
  for (const step of running) {
    const { name, problems, seconds } = await step
    const result = problems.length === 0 ? 'ok' : 'FAILED'
    console.log(`${result.padEnd(7)}${name} (${seconds.toFixed(1)} s)`)
    for (const problem of problems) console.log(problem.replace(/^/gm, '       '))
    if (problems.length > 0) process.exitCode = 1
  }
}

await main()

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { root } from './repo-files.ts'
import type { Tally } from './tally.ts'

/** Runs one test file by the real runner. */
async function tallyOf(t: TestContext, source: string): Promise<Tally> {
  const folder = await mkdtemp(join(tmpdir(), 'okoro-tally-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  await writeFile(
    join(folder, 'a.test.mjs'),
    `import { before, suite, test } from 'node:test'\n${source}`,
  )
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const reporter = join(root, 'scripts/tally.ts')
  const child = spawn(process.execPath, ['--test', `--test-reporter=${reporter}`], {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return JSON.parse(await text(child.stdout))
}

const fails = '() => { throw new Error() }'

for (const [what, source, passed, failed] of [
  ['a test that passes', "test('a', () => {})", 1, 0],
  ['a test that fails', `test('a', ${fails})`, 0, 1],
  ['a suite, which counts as its tests alone', "suite('s', () => { test('a'); test('b') })", 2, 0],
  ['a failed test in a suite, which counts once', `suite('s', () => test('a', ${fails}))`, 0, 1],
  [
    'subtests, which count in place of their parent',
    `test('p', async (t) => { await t.test('a', () => {}); await t.test('b', ${fails}) })`,
    1,
    1,
  ],
  [
    'a parent that fails beside its subtests',
    "test('p', async (t) => { await t.test('a', () => {}); throw new Error() })",
    1,
    1,
  ],
  ['a hook that fails', `suite('s', () => { before(${fails}); test('a', () => {}) })`, 0, 2],
  ['a file that breaks off', 'process.exit(3)', 0, 1],
  ['a file that cannot be loaded', "import './nowhere.mjs'", 0, 1],
] as const) {
  test(`the tally of ${what}`, async (t) => {
    assert.deepEqual(await tallyOf(t, source), { passed, failed, complaints: [] })
  })
}

for (const [what, source, complaint] of [
  ['a file without tests', '', /has no tests/],
  ['a test left out', `test('a', { ${'skip'}: 'later' }, () => {})`, /"a" was skipped/],
  ['a test put off', `test('a', { ${'todo'}: true }, () => {})`, /"a" is still to do/],
  ['a failing test put off', `test('a', { ${'todo'}: true }, ${fails})`, /"a" is still to do/],
] as const) {
  test(`${what} is a failure`, async (t) => {
    const { passed, failed, complaints } = await tallyOf(t, source)
    assert.deepEqual({ passed, failed }, { passed: 0, failed: 1 })
    assert.match(complaints.join(), complaint)
  })
}

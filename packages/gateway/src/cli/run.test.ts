import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { isSecretSetting, settingKeys, settingName } from '../config/settings.ts'
import { commands } from './commands.ts'
import { openFolder } from './testing.ts'

const { run, dataDir } = openFolder()

suite('help', () => {
  test('names every command, every exit code and how to begin', async () => {
    const { code, stdout } = await run(['--help'])
    assert.equal(code, 0)
    for (const name of Object.keys(commands)) assert.match(stdout, new RegExp(`^  ${name} `, 'm'))
    for (const exitCode of [0, 1, 2, 3, 4, 74, 75, 130])
      assert.match(stdout, new RegExp(`^  ${exitCode} `, 'm'))
  })

  for (const name of Object.keys(commands)) {
    test(`of okoro ${name} and all below it has examples`, async () => {
      const { stdout } = await run([name, '--help'])
      const below = [...stdout.matchAll(/^ {2}([a-z-]+) .*?(?: <| {2})/gm)].map(
        ([, word = '']) => word,
      )
      const leaves = /^Commands:/m.test(stdout) ? below.filter((word) => word !== '') : []
      if (leaves.length === 0) assert.match(stdout, /\nExamples?:\n {2}\$ /)
      for (const leaf of leaves) {
        const { stdout: help } = await run([name, leaf, '--help'])
        assert.match(help, new RegExp(`\\nExamples?:\\n {2}\\$ .*okoro ${name} ${leaf}`))
      }
    })
  }

  test('has no flag for any secret', async () => {
    for (const key of settingKeys.filter(isSecretSetting)) {
      const flag = `--${settingName(key).replaceAll('_', '-')}`
      const { code, stderr } = await run(['config', flag, 'x'])
      assert.equal(code, 2)
      assert.match(stderr, /unknown option/)
    }
  })
})

suite('a wrong command line ends with 2 and a hint', () => {
  for (const [argv, hint] of [
    [['nonsense'], /unknown command 'nonsense'/],
    [['agents', 'lst'], /Did you mean list\?/],
    [['agents', 'create'], /missing required argument 'name'/],
    [['agents', 'create', 'a', '--grant', 'withings'], /A grant is PROVIDER:SCOPE/],
    [['agents', 'create', 'a', '--expires', 'soon'], /45s, 30m, 12h or 90d/],
    [
      ['agents', 'create', 'a', '--grant', 'a:read', '--grant', 'b:read', '--only', 'x'],
      /one --grant/,
    ],
    [['audit', 'list', '--limit', '0'], /a number from 1 to 500/],
    [['call', 'withings', '/measure'], /--intent/],
    [['call', 'withings', '/measure', '--intent', 'see weight'], /OKORO_SERVICE_TOKEN is not set/],
    [['config', '--port', 'x'], /port "x" \(from --port\) is no whole number/],
    [['agents', 'revoke', 'coach'], /Add --yes/],
  ] as const) {
    test(argv.join(' '), async () => {
      const { code, stderr, stdout } = await run(argv)
      assert.deepEqual([code, stdout], [2, ''])
      assert.match(stderr, hint)
    })
  }
})

suite('with --json a failure is one line of JSON on standard error', () => {
  for (const [argv, error, exitCode, message] of [
    [['agents', 'show', 'nobody'], 'refused', 3, /There is no agent "nobody"/],
    [['agents', 'show'], 'usage', 2, /^missing required argument 'name'$/],
    [['agents'], 'usage', 2, /subcommand is missing/],
    [['agents', 'revoke', 'coach'], 'usage', 2, /Add --yes/],
    [['run', '--grant', 'withings:read', '--', 'true'], 'unreachable', 4, /No gateway is running/],
  ] as const) {
    test(argv.join(' '), async () => {
      const [command, ...rest] = argv
      const { code, stdout, stderr } = await run([command, '--json', ...rest])
      assert.deepEqual([code, stdout, stderr.match(/\n/g)?.length], [exitCode, '', 1], stderr)
      const told = JSON.parse(stderr)
      assert.deepEqual([told.error, told.exit_code], [error, exitCode])
      assert.match(told.message, message)
    })
  }

  test('help is no failure', async () => {
    const { code, stdout, stderr } = await run(['agents', '--json', '--help'])
    assert.deepEqual([code, stderr], [0, ''])
    assert.match(stdout, /^Usage: okoro agents/)
  })
})

test('okoro call looks at a path before anything is asked for', async () => {
  const env = { OKORO_SERVICE_TOKEN: 'svc_x', OKORO_URL: 'http://127.0.0.1:1' }
  for (const path of ['measure', '/../t/tokens', '/a b', '/measure#x']) {
    const argv = ['call', 'withings', path, '--intent', 'see weight']
    const { code, stderr } = await run(argv, { env })
    assert.equal(code, 2, stderr)
    assert.match(stderr, /^okoro: The path .*\.\n$/)
  }
})

suite('okoro config', () => {
  test('shows where each value came from and redacts secrets', async () => {
    const secret = 'postgres://ada:hunter2@db/okoro'
    const { stdout } = await run(['config', '--json', '--log-level', 'warn'], {
      env: { OKORO_DATABASE_URL: secret },
    })
    assert.ok(!stdout.includes('hunter2'))
    const entry = (name: string) =>
      JSON.parse(stdout).find((one: { name: string }) => one.name === name)
    assert.deepEqual([entry('log_level').value, entry('log_level').source], ['warn', '--log-level'])
    assert.equal(entry('database_url').value, '[redacted]')
    assert.equal(entry('data_dir').source, 'OKORO_DATA_DIR')
  })

  test('has one line per setting, with tabs in a pipe', async () => {
    const { stdout } = await run(['config'])
    const lines = stdout.trimEnd().split('\n')
    assert.equal(lines.length, settingKeys.length)
    assert.deepEqual(lines[0]?.split('\t').slice(0, 3), ['data_dir', dataDir, 'OKORO_DATA_DIR'])
  })

  test('tells of variables that okoro does not know', async () => {
    const { stderr, code } = await run(['config'], { env: { OKORO_PROT: '1' } })
    assert.equal(code, 0)
    assert.match(stderr, /did you mean OKORO_PORT\?/)
  })
})

test('an installation that cannot be opened ends with one line, not a stack', async () => {
  const { run: runThere, dataDir: folder } = openFolder()
  mkdirSync(folder, { mode: 0o700 })
  writeFileSync(join(folder, 'master.key'), 'not a key\n', { mode: 0o600 })
  const { code, stderr } = await runThere(['keys', 'status'])
  assert.equal(code, 1)
  assert.equal(stderr.trimEnd().split('\n').length, 1, stderr)
})

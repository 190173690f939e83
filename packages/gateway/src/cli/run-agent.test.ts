import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { agentEnvironment } from './run-agent/environment.ts'
import { agentName } from './run-agent.ts'
import { openFolder } from './testing.ts'

const grant = ['--grant', 'withings:read']

suite('okoro run', () => {
  const { run, start } = openFolder()

  test('without a gateway says what to do, and begins nothing', async () => {
    const { code, stdout, stderr } = await run(['run', ...grant, '--', 'echo', 'begun'])
    assert.deepEqual([code, stdout], [4, ''])
    assert.match(stderr, /^okoro: No gateway is running on .*: start one with `okoro serve`\.\n$/)
  })

  test('gives a command an agent of its own for as long as it runs', async () => {
    const gateway = start(['serve', '--json'])
    const url = await gateway.printed(/"public_url": "(http[^"]+)"/)
    const script = 'echo "$OKORO_URL $OKORO_SERVICE_TOKEN"; exit 7'
    const ran = await run(['run', ...grant, '--expires', '90m', '--', 'sh', '-c', script])
    assert.equal(ran.code, 7)
    assert.match(ran.stdout, new RegExp(`^${url} svc_\\w+\n$`))
    assert.match(
      ran.stderr,
      /^okoro: agent run-sh-[0-9a-f]{8} may read withings \(.*\) until it ends, at most 90 min\n$/,
    )
    const { json: all } = await run(['agents', 'list', '--all', '--json'])
    assert.deepEqual([all[0].status, all[0].lease_seconds], ['revoked', 30])
    assert.deepEqual((await run(['agents', 'list', '--json'])).json, [])
  })

  test('with --json says in JSON what was granted, and leaves standard output alone', async () => {
    const argv = ['run', ...grant, '--except', 'heart.get', '--json', '--', 'echo', '--json']
    const ran = await run(argv)
    assert.deepEqual([ran.code, ran.stdout], [0, '--json\n'])
    const said = JSON.parse(ran.stderr)
    assert.deepEqual(said.grants[0].except, ['heart.get'])
    assert.match(said.message, /^agent run-echo-/)
    assert.ok(!ran.stderr.includes('svc_'))
  })

  test('asks for JSON only when it is told so itself', async () => {
    const ran = await run(['run', ...grant, '--', 'echo', '--json'])
    assert.match(ran.stderr, /^okoro: agent run-echo-/)
  })

  test('answers as a shell does for a command that is not there or does not run', async () => {
    const missing = await run(['run', ...grant, '--', '/nowhere/at-all'])
    assert.equal(missing.code, 127)
    assert.match(missing.stderr, /okoro: \/nowhere\/at-all: command not found\n$/)
    const folder = await run(['run', ...grant, '--', '/'])
    assert.equal(folder.code, 126)
    assert.match(folder.stderr, /okoro: \/: permission denied\n$/)
    assert.deepEqual((await run(['agents', 'list', '--json'])).json, [])
  })

  test('is refused what the catalogue has not, before anything begins', async () => {
    const { code, stdout } = await run(['run', '--grant', 'nobody:read', '--', 'echo', 'begun'])
    assert.deepEqual([code, stdout], [3, ''])
    assert.equal((await run(['run', '--', 'echo'])).code, 2)
    assert.equal((await run(['run', ...grant])).code, 2)
    assert.equal((await run(['run', ...grant, '--lease', '1s', '--', 'echo'])).code, 2)
  })

  test('ends by the signal that ended its command', async () => {
    const running = start(['run', ...grant, '--', 'sh', '-c', 'echo begun; exec sleep 60'])
    await running.printed(/begun/)
    running.signal('SIGTERM')
    assert.equal((await running.ended).code, 'SIGTERM')
  })

  test('begins nothing after a signal that came before, and leaves no agent behind', async () => {
    const running = start(['run', ...grant, '--', 'echo', 'begun'], { earlySignal: 'SIGINT' })
    const { code, stdout } = await running.ended
    assert.deepEqual([code, stdout], ['SIGINT', ''])
    assert.deepEqual((await run(['agents', 'list', '--json'])).json, [])
  })

  test('lets its command answer a signal in its own way', async () => {
    const script = 'trap "echo once; exit 9" USR1; echo begun; while :; do sleep 0.1; done'
    const running = start(['run', ...grant, '--', 'sh', '-c', script])
    await running.printed(/begun/)
    running.signal('SIGUSR1')
    const { code, stdout } = await running.ended
    assert.deepEqual([code, stdout], [9, 'begun\nonce\n'])
  })

  test('says when its agent was revoked meanwhile, and lets the command go on', async () => {
    const argv = ['run', ...grant, '--lease', '5s', '--', 'sh', '-c', 'echo begun; exec sleep 60']
    const running = start(argv)
    const name = await running.printed(/agent (run-sh-\w+) may/)
    const { stdout } = await run(['agents', 'list'])
    assert.ok(stdout.includes(`${name}\tactive, leased\twithings:read`), stdout)
    assert.equal((await run(['agents', 'revoke', name, '--yes'])).code, 0)
    await running.printed(/was revoked: its calls are refused from now on/)
    running.signal('SIGTERM')
    const { code, stderr } = await running.ended
    assert.deepEqual([code, stderr.match(/revoked/g)?.length], ['SIGTERM', 1])
  })
})

suite('a gateway that goes away under okoro run', () => {
  test('is waited for, and what could not be revoked is said once', async () => {
    const { start } = openFolder()
    const gateway = start(['serve', '--json'])
    await gateway.printed(/"public_url": "(http[^"]+)"/)
    const script = 'echo begun; exec sleep 60'
    const running = start(['run', ...grant, '--lease', '5s', '--', 'sh', '-c', script])
    await running.printed(/begun/)
    gateway.stop()
    await gateway.ended
    await running.printed(/can't be reached.*\n/)
    await new Promise((resolve) => setTimeout(resolve, 2_500))
    running.signal('SIGTERM')
    const { code, stderr } = await running.ended
    assert.equal(code, 'SIGTERM')
    const [, away, end, ...more] = stderr.trimEnd().split('\n')
    assert.match(away ?? '', /can't be reached: .* Trying on; without it run-sh-\w+ ends 5 s after/)
    assert.match(end ?? '', /could not be revoked; it ends by itself within 5 s\./)
    assert.deepEqual(more, [])
  })
})

suite('the environment of an agent', () => {
  test('has nothing of the operator’s, whatever its name', () => {
    const operator = {
      OKORO_ADMIN_TOKEN: 'a',
      OKORO_MASTER_KEY_FILE: '/k',
      OKORO_DATABASE_URL: 'postgres://u:p@h/d',
      OKORO_SERVICE_TOKEN: 'svc_of_another',
      OKORO_SERVICE_TOKEN_FILE: '/t',
      OKORO_NEVER_HEARD_OF: 'x',
      okoro_lower: 'x',
    }
    const kept = { PATH: '/bin', HOME: '/var/empty', MY_OKORO_NOTE: 'mine', GONE: undefined }
    const env = agentEnvironment(
      { ...operator, ...kept },
      { url: 'http://127.0.0.1:8420', serviceToken: 'svc_own' },
    )
    assert.deepEqual(env, {
      ...{ PATH: '/bin', HOME: '/var/empty', MY_OKORO_NOTE: 'mine' },
      ...{ OKORO_URL: 'http://127.0.0.1:8420', OKORO_SERVICE_TOKEN: 'svc_own' },
    })
  })
})

test('an agent is named after its command, in letters that the API takes', () => {
  const bytes = new Uint8Array([0x3f, 0x9c, 1, 0xab])
  for (const [command, name] of [
    ['claude', 'run-claude-3f9c01ab'],
    ['/usr/local/bin/my tool', 'run-my-tool-3f9c01ab'],
    ['体重', 'run-command-3f9c01ab'],
    ['/', 'run-command-3f9c01ab'],
    ['x'.repeat(100), `run-${'x'.repeat(40)}-3f9c01ab`],
  ] as const) {
    assert.equal(agentName(command, bytes), name)
    assert.ok(name.length <= 64)
  }
})

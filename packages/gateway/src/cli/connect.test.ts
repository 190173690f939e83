import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { type Sandbox, startWithings } from '@okoro/sandbox'
import { consent } from '../connections/testing.ts'
import { connectAsPerson } from './demo/browser.ts'
import { openFolder } from './testing.ts'

const clientSecret = 'secret-of-the-application'
/** Not where the gateway listens: what the browser ends on must be pasted. */
const elsewhere = 'https://okoro.example/connect/callback/withings'

suite('okoro connections add', () => {
  let sandbox: Sandbox
  const folder = openFolder()
  let env: Record<string, string> = {}
  const register = (redirectUri: string) =>
    sandbox.registerApplication({ clientId: 'cli', clientSecret, redirectUris: [redirectUri] })

  before(async () => {
    sandbox = await startWithings({})
    env = { OKORO_SANDBOX: `withings=${sandbox.url}` }
  })
  after(() => sandbox.close())

  test('serves the callback itself while no gateway runs, and takes the secret from a pipe', async () => {
    const argv = ['connections', 'add', 'withings', '--client-id', 'cli', '--json']
    const adding = folder.start(argv, { env })
    adding.stdin.end(`${clientSecret}\n`)
    const link = await adding.printed(/(http\S+\/connect\/start\/\S+)/)
    register(`${new URL(link).origin}/connect/callback/withings`)
    await connectAsPerson(link)
    const { code, json, stderr } = await adding.ended
    assert.equal(code, 0, stderr)
    assert.deepEqual([json.label, json.status, json.sandbox], ['default', 'connected', true])
    assert.match(stderr, /No gateway is running/)
    assert.ok(!stderr.includes(clientSecret))
  })

  test('takes the pasted address, after a wrong one too, from a person who types the rest', async () => {
    const gateway = folder.start(['serve'], { env })
    const url = await gateway.printed(/(http:\S+)\n/)
    const { OKORO_SANDBOX = '' } = env
    const argv = ['connections', 'add', 'withings', '--label', 'pasted', '--owner', 'ada']
    const adding = folder.start([...argv, '--client-id', 'other', '--redirect-uri', elsewhere], {
      env: { OKORO_SANDBOX },
      isTerminal: true,
    })
    sandbox.registerApplication({ clientId: 'other', clientSecret, redirectUris: [elsewhere] })
    await adding.printed(/Client secret at Withings/)
    adding.stdin.write(`${clientSecret}\r`)
    const link = await adding.printed(/(http\S+\/connect\/start\/\S+)/)
    assert.ok(link.startsWith(url))
    const opened = await fetch(link, { redirect: 'manual' })
    const back = await consent(opened.headers.get('location') ?? '')
    adding.stdin.write('https://okoro.example/somewhere\n')
    await adding.printed(/paste the whole address/)
    adding.stdin.write(`${back}\n`)
    const { code, stdout, stderr } = await adding.ended
    assert.equal(code, 0, stderr)
    assert.match(stdout, /Withings is connected as "pasted"/)
    assert.match(stderr, /within 30 seconds/)
    const shown = await folder.run(['connections', 'show', 'pasted', '--json'])
    assert.equal(shown.json.owner, 'ada')
    gateway.stop()
    await gateway.ended
  })

  test('names the label that is taken before anybody has to open a link', async () => {
    const { code, stderr } = await folder.run(['connections', 'add', 'withings'], { env })
    assert.equal(code, 3)
    assert.match(stderr, /already called "default"/)
  })

  test('stops on Ctrl-C and connects nothing', async () => {
    const adding = folder.start(['connections', 'add', 'withings', '--label', 'never'], { env })
    await adding.printed(/\/connect\/start\//)
    adding.stop()
    assert.equal((await adding.ended).code, 130)
    const { json } = await folder.run(['connections', 'list', '--json'], { env })
    assert.deepEqual(
      json.map(({ label }: { label: string }) => label),
      ['default', 'pasted'],
    )
  })

  test('removes a connection', async () => {
    const removed = await folder.run(['connections', 'remove', 'pasted', '--yes'], { env })
    assert.equal(removed.code, 0, removed.stderr)
    const { code } = await folder.run(['connections', 'show', 'withings@pasted'], { env })
    assert.equal(code, 3)
  })
})

suite('okoro applications', () => {
  const files = mkdtempSync(join(tmpdir(), 'okoro-secret-'))
  after(() => rmSync(files, { recursive: true }))
  const path = join(files, 'secret')
  writeFileSync(path, `${clientSecret}\n`)
  const { run } = openFolder()
  const add = ['applications', 'add', 'withings', '--client-id']

  test('are added with a secret from the environment or from a file', async () => {
    const first = await run([...add, 'a', '--json'], { env: { OKORO_CLIENT_SECRET: clientSecret } })
    const second = await run([...add, 'b', '--json'], { env: { OKORO_CLIENT_SECRET_FILE: path } })
    assert.deepEqual([first.code, second.code], [0, 0])
    const listed = await run(['applications', 'list'])
    assert.deepEqual(
      listed.stdout
        .split('\n')
        .map((line) => line.split('\t')[2])
        .slice(0, 2),
      ['a', 'b'],
    )
    for (const { stdout, stderr } of [first, second, listed]) {
      assert.ok(!`${stdout}${stderr}`.includes(clientSecret))
    }
    const env = { OKORO_CLIENT_SECRET: 'another' }
    const { id } = first.json
    assert.equal((await run(['applications', 'rotate-secret', id], { env })).code, 0)
    assert.equal((await run(['applications', 'remove', id, '--yes'])).code, 0)
  })

  test('without any secret are refused, and so is one as an argument', async () => {
    const nothing = await run([...add, 'c'])
    assert.equal(nothing.code, 2)
    assert.match(nothing.stderr, /OKORO_CLIENT_SECRET_FILE or on standard input/)
    const argument = await run([...add, 'c', '--client-secret', clientSecret])
    assert.equal(argument.code, 2)
  })
})

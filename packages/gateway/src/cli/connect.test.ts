import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { type Sandbox, startWithings } from '@okoro/sandbox'
import { consent, startKeyProvider } from '../connections/testing.ts'
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

  test('changes the limit of an application, and shows what holds', async () => {
    const { json } = await folder.run(['applications', 'list', '--json'], { env })
    const [{ id }] = json
    const limit = (...argv: readonly string[]) =>
      folder.run(['applications', 'limit', id, ...argv], { env })
    assert.match((await limit('1500/60')).stdout, /1500 calls in 60 s\.$/m)
    assert.match((await folder.run(['applications', 'list'], { env })).stdout, /1500\/60/)
    assert.match((await limit('none')).stdout, /: none\.$/m)
    await limit('default')
    const { stdout } = await folder.run(['applications', 'show', id], { env })
    assert.match(stdout, /120 calls in 60 s \(as the provider file says\)/)
    for (const wrong of ['120', '1/', 'often', '1/60/1']) {
      const { code, stderr } = await limit(wrong)
      assert.equal(code, 2)
      assert.match(stderr, /as in 600\/60/)
    }
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

suite('okoro connections add, by pasting', async () => {
  const files = mkdtempSync(join(tmpdir(), 'okoro-key-'))
  after(() => rmSync(files, { recursive: true }))
  const path = join(files, 'key')
  writeFileSync(path, 'ghp_of-a-file\n')
  const { run, start } = openFolder()
  const add = ['connections', 'add', 'github']
  const provider = await startKeyProvider()
  for (const [index, name] of ['pipe', 'env', 'a-file', 'a-person'].entries()) {
    provider.knows(`ghp_of-${name}`, index + 1, name)
  }
  const env = { OKORO_SANDBOX: `github=${provider.sandboxes.get('github')}` }

  test('takes the credential from a pipe, the environment or a file, and shows it nowhere', async () => {
    const piped = await run([...add, '--json'], { env, input: 'ghp_of-pipe\n' })
    const given = await run([...add, '--label', 'env', '--owner', 'u-1', '--json'], {
      env: { ...env, OKORO_CREDENTIAL: 'ghp_of-env' },
    })
    const filed = await run([...add, '--label', 'file', '--json'], {
      env: { ...env, OKORO_CREDENTIAL_FILE: path },
    })
    for (const [ended, name] of [
      [piped, 'pipe'],
      [given, 'env'],
      [filed, 'a-file'],
    ] as const) {
      assert.equal(ended.code, 0, ended.stderr)
      assert.equal(ended.json.account_name, name)
      assert.ok(!`${ended.stdout}${ended.stderr}`.includes('ghp_'))
      // Nothing has to come back from a browser.
      assert.doesNotMatch(ended.stderr, /serves the callback/)
    }
    const shown = await run(['connections', 'show', 'github@env'], { env })
    assert.match(shown.stdout, /account name\tenv/)
    assert.match(shown.stdout, /owner\tu-1/)
  })

  test('asks a person, saying where one is made', async () => {
    const adding = start([...add, '--label', 'person'], { env, isTerminal: true })
    await adding.printed(/personal access token of GitHub \(it is not shown\)/)
    adding.stdin.write('ghp_of-a-person\r')
    const { code, stdout, stderr } = await adding.ended
    assert.equal(code, 0, stderr)
    assert.match(stdout, /GitHub is connected as "person"/)
    assert.match(stderr, /Make one at https:\/\/docs\.github\.com/)
    assert.match(stderr, /okoro agents create NAME --grant github@person:read/)
    assert.ok(!`${stdout}${stderr}`.includes('ghp_'))
  })

  test('says what helps when the provider refuses it, and tests and replaces it', async () => {
    const bad = await run([...add, '--label', 'bad'], { env, input: 'ghp_nobody\n' })
    assert.equal(bad.code, 3)
    assert.match(bad.stderr, /Nothing was connected.*make a new one/)
    const tested = await run(['connections', 'test', 'github@env'], { env })
    assert.match(tested.stdout, /github \(sandbox\) "env" works/)
    const other = await run([...add, '--reconnect', 'github@env'], { env, input: 'ghp_of-pipe\n' })
    assert.equal(other.code, 3)
    assert.match(other.stderr, /belongs to a different account/)
    const confirmed = [...add, '--reconnect', 'github@env', '--confirm-account-change', '--json']
    const changed = await run(confirmed, { env, input: 'ghp_of-pipe\n' })
    assert.deepEqual([changed.code, changed.json.generation], [0, 2])
  })

  test('takes no credential as an argument, none at all, and no application', async () => {
    for (const argv of [[...add, 'ghp_of-pipe'], [...add, '--credential', 'ghp_of-pipe'], add]) {
      assert.equal((await run(argv, { env })).code, 2)
    }
    const nothing = await run([...add, '--label', 'none'], { env })
    assert.match(nothing.stderr, /give it in OKORO_CREDENTIAL, in OKORO_CREDENTIAL_FILE or on/)
    const stray = await run([...add, '--client-id', 'x'], { env, input: 'ghp_of-pipe\n' })
    assert.match(stray.stderr, /without an application: leave --client-id out/)
    const application = await run(['applications', 'add', 'github'], { env, input: 'x\ny\n' })
    assert.match(application.stderr, /GitHub needs no application: okoro connections add github/)
  })

  test('is told by doctor and providers show', async () => {
    const shown = await run(['providers', 'show', 'github'], { env })
    assert.match(shown.stdout, /connected by\ta personal access token that you paste/)
    assert.doesNotMatch(shown.stdout, /redirect URI/)
    const { json } = await run(['doctor', '--json'], { env })
    const messages = json.map(({ message }: { message: string }) => message)
    assert.ok(messages.includes('4 connected'), messages.join())
    assert.ok(!messages.some((message: string) => message.includes('redirect URI')))
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

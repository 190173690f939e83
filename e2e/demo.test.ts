import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createServer } from 'node:net'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { folder, start } from './gateway.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('..', import.meta.url))
const place = folder()
after(() => place.remove())

const freePort = () =>
  new Promise<number>((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })

const env = {
  OKORO_DATA_DIR: `${place.path}/data`,
  OKORO_PORT: `${await freePort()}`,
  OKORO_ADMIN_PORT: `${await freePort()}`,
  // As `npm run demo` says it: what is printed then begins with `npm run`.
  npm_lifecycle_event: 'demo',
}

const startDemo = (changes: Record<string, string> = {}) =>
  start(['packages/gateway/src/main.ts', 'demo'], {
    env: { ...env, ...changes },
    until: (output) => (output.includes('connections add withings') ? output : null),
  })

/** The lines that a person would paste: from the first `export` on, without the prose. */
function pasted(output: string): string {
  const lines = output.split('\n')
  const isCommand = (line: string) => /^(export |TOKEN=|curl |npm run | {2}-d )/.test(line)
  return lines.filter(isCommand).join('\n')
}

const bash = async (script: string) => {
  const { PATH = '', HOME = '' } = process.env
  return await run('bash', ['-c', script], {
    ...{ cwd: root, env: { PATH, HOME }, maxBuffer: 50_000_000 },
  })
}

test('every line that the demo shows works when pasted, and a second start goes on', async () => {
  const demo = await startDemo()
  const lines = pasted(demo.found)
  const reads = lines.split('\n').filter((line) => /^curl .*-d '\{\}'$/.test(line))
  assert.equal(reads.length, 6)
  const setUp = lines.slice(0, lines.indexOf('curl -X POST'))
  for (const read of reads) {
    const { stdout } = await bash(`${setUp}\n${read}`)
    const answer = JSON.parse(stdout) as { status: number; body: object }
    assert.equal(answer.status, 0)
    assert.ok(JSON.stringify(answer.body).length > 20)
  }
  const all = await bash(`set -e\n${lines}`)
  assert.match(all.stdout, /insufficient_scope/)
  assert.match(all.stdout, /POST \/measure getmeas/)
  assert.equal(await demo.kill('SIGINT'), 0)

  const again = await startDemo()
  const token = /OKORO_SERVICE_TOKEN=(svc_\w+)/
  assert.equal(token.exec(again.found)?.[1], token.exec(demo.found)?.[1])
  const { stdout } = await bash(`${setUp}\n${reads[0]}`)
  assert.equal(JSON.parse(stdout).status, 0)
  await again.kill('SIGINT')
})

test('a taken port ends the demo with one line that names the setting', async () => {
  const holder = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => holder.once('listening', resolve))
  const address = holder.address()
  const taken = `${typeof address === 'object' && address ? address.port : 0}`
  const failed = await startDemo({
    ...{ OKORO_PORT: taken, OKORO_DATA_DIR: `${place.path}/other` },
  }).catch((error: Error) => error)
  holder.close()
  assert.ok(failed instanceof Error)
  assert.match(failed.message, new RegExp(`^ended with 1: okoro: Port ${taken} .*OKORO_PORT.*\\n$`))
})

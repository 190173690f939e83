import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { folder } from './gateway.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('..', import.meta.url))
const place = folder()
after(() => place.remove())

const freePort = () =>
  new Promise<string>((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => resolve(`${typeof address === 'object' && address ? address.port : 0}`))
    })
  })

test('the packed tarball, installed in an empty folder, runs the demo', async () => {
  await run(process.execPath, ['scripts/pack.ts', '--out', place.path], { cwd: root })
  const tarball = readdirSync(place.path).find((name) => name.endsWith('.tgz')) ?? ''
  assert.match(tarball, /^okoro-\d/)
  await run('npm', ['install', '--prefix', `${place.path}/app`, `${place.path}/${tarball}`], {
    cwd: place.path,
  })
  const env = {
    ...{ PATH: process.env.PATH ?? '', HOME: place.path, OKORO_DATA_DIR: `${place.path}/data` },
    ...{ OKORO_PORT: await freePort(), OKORO_ADMIN_PORT: await freePort() },
  }
  const demo = spawn(`${place.path}/app/node_modules/.bin/okoro`, ['demo'], { env })
  let output = ''
  const shown = new Promise<void>((resolve, reject) => {
    demo.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      if (output.includes('okoro connections add withings')) resolve()
    })
    demo.stderr.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
    demo.once('exit', (code) => reject(new Error(`ended with ${code}: ${output}`)))
  })
  await shown
  const url = /OKORO_URL=(\S+)/.exec(output)?.[1] ?? ''
  const serviceToken = /OKORO_SERVICE_TOKEN=(\S+)/.exec(output)?.[1] ?? ''
  const post = async (path: string, bearer: string, body: object) => {
    const response = await fetch(url + path, {
      method: 'POST',
      headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    return (await response.json()) as { token: string; status: number }
  }
  const ask = { provider: 'withings', scope: 'read', intent: 'see whether the package works' }
  const { token } = await post('/t/tokens', serviceToken, ask)
  assert.equal((await post('/p/withings/measure', token, {})).status, 0)
  demo.removeAllListeners('exit')
  const ended = new Promise((resolve) => demo.once('exit', resolve))
  demo.kill('SIGINT')
  assert.equal(await ended, 0)
})

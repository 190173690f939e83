import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { openFolder } from './testing.ts'

suite('okoro demo', () => {
  const folder = openFolder()
  const token = /export OKORO_SERVICE_TOKEN=(svc_\w+)/
  let firstToken = ''

  test('prints what reads the made-up account, and the refusal that it promises', async () => {
    const demo = folder.start(['demo'])
    firstToken = await demo.printed(token)
    const env = {
      OKORO_URL: await demo.printed(/export OKORO_URL=(\S+)/),
      OKORO_SERVICE_TOKEN: firstToken,
    }
    const call = ['call', 'withings', '/measure', '--intent', 'see the weight', '--data', '{}']
    const { json } = await folder.run(call, { env })
    assert.equal(json.status, 0)
    assert.ok(json.body.measuregrps.length > 0)
    const unlink = ['call', 'withings', '/v2/user?action=unlink', '--method', 'post']
    const refused = await folder.run([...unlink, '--intent', 'see it refused'], { env })
    assert.equal(refused.code, 3)
    assert.match(refused.stderr, /delete/)
    const tail = await folder.run(['audit', 'tail'])
    assert.match(
      tail.stdout,
      /\tattempt\tdemo\tallow\twithings POST \/measure getmeas\tsee the weight\n/,
    )
    assert.match(tail.stdout, /\tdeny insufficient_scope\t/)
    const second = await folder.run(['demo'])
    assert.match(second.stderr, /^okoro: A demo is running on .* already/)
    demo.stop()
    assert.equal((await demo.ended).code, 0)
  })

  test('goes on with the same account and token at the next start', async () => {
    const demo = folder.start(['demo', '--json'])
    assert.equal(await demo.printed(/"service_token": "(\w+)"/), firstToken)
    const { json } = await folder.run(['connections', 'list', '--json'])
    assert.equal(json.length, 1)
    demo.stop()
    await demo.ended
  })

  test('keeps its token for its owner alone', () => {
    assert.equal(statSync(join(folder.dataDir, 'demo.json')).mode & 0o777, 0o600)
  })

  test('takes a new agent when its own was revoked', async () => {
    await folder.run(['agents', 'revoke', 'demo', '--yes'])
    const demo = folder.start(['demo'])
    const next = await demo.printed(token)
    assert.notEqual(next, firstToken)
    demo.stop()
    await demo.ended
  })

  test('leaves a folder alone that holds other data, and any other database', async () => {
    const other = openFolder()
    await other.run(['agents', 'create', 'coach'])
    const { code, stderr } = await other.run(['demo'])
    assert.equal(code, 2)
    assert.match(stderr, /holds data that is not a demo's/)
  })

  test('names the setting of a port that is taken, in one line', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const address = server.address()
    const port = typeof address === 'object' && address ? String(address.port) : ''
    const { code, stderr } = await folder.run(['demo', '--port', port])
    server.close()
    assert.equal(code, 1)
    assert.match(stderr, new RegExp(`^okoro: Port ${port} .*OKORO_PORT.*\\n$`))
  })
})

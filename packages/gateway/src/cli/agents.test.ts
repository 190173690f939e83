import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { isServiceToken } from '../tokens/service-token.ts'
import { openFolder } from './testing.ts'

suite('agents without a running gateway', () => {
  const { run } = openFolder()

  test('are created, and only the lines to paste are on standard output', async () => {
    const created = await run(['agents', 'create', 'coach', '--grant', 'withings:read'])
    assert.equal(created.code, 0, created.stderr)
    const [url, token, ...more] = created.stdout.trimEnd().split('\n')
    assert.match(url ?? '', /^export OKORO_URL=http:\/\//)
    assert.ok(isServiceToken(token?.replace('export OKORO_SERVICE_TOKEN=', '') ?? ''))
    assert.deepEqual(more, [])
    assert.match(created.stderr, /may read withings/)
  })

  test('are listed and shown without any token', async () => {
    const listed = await run(['agents', 'list'])
    assert.deepEqual(listed.stdout.split('\t').slice(0, 3), ['coach', 'active', 'withings:read'])
    const shown = await run(['agents', 'show', 'coach', '--json'])
    assert.equal(shown.json.grants[0].provider, 'withings')
    assert.ok(!`${listed.stdout}${shown.stdout}`.includes('svc_'))
  })

  test('get other grants, narrowed by rule', async () => {
    const argv = [
      'agents',
      'grant',
      'coach',
      'withings:delete',
      '--except',
      'user.unlink,user.link',
    ]
    const granted = await run([...argv, '--json'])
    assert.deepEqual(
      [granted.json.scope, granted.json.except],
      ['delete', ['user.unlink', 'user.link']],
    )
    const { stdout } = await run(['agents', 'ungrant', 'coach', 'withings'])
    assert.match(stdout, /coach may no longer delete withings/)
    assert.deepEqual((await run(['agents', 'show', 'coach', '--json'])).json.grants, [])
    assert.equal((await run(['agents', 'ungrant', 'coach', 'withings'])).code, 2)
  })

  test('get a new token and are revoked', async () => {
    const rotated = await run(['agents', 'rotate', 'coach', '--grace', '0s'])
    assert.match(rotated.stdout, /^export OKORO_SERVICE_TOKEN=svc_/)
    const revoked = await run(['agents', 'revoke', 'coach', '--yes'])
    assert.equal(revoked.code, 0)
    const again = await run(['agents', 'rotate', 'coach'])
    assert.deepEqual([again.code, again.stdout], [3, ''])
    assert.match(again.stderr, /was revoked, which is for good/)
  })

  test('are asked about before they are revoked, on a terminal', async () => {
    await run(['agents', 'create', 'tutor'])
    const no = await run(['agents', 'revoke', 'tutor'], { isTerminal: true, input: 'n\n' })
    assert.deepEqual([no.code, no.stdout], [1, ''])
    assert.equal((await run(['agents', 'show', 'tutor', '--json'])).json.status, 'active')
    const yes = await run(['agents', 'revoke', 'tutor'], { isTerminal: true, input: 'y\n' })
    assert.equal(yes.code, 0, yes.stderr)
  })

  test('that are not there are refused with the way to find them', async () => {
    const { code, stderr } = await run(['agents', 'show', 'nobody'])
    assert.equal(code, 3)
    assert.equal(stderr, 'okoro: There is no agent "nobody"; `okoro agents list` shows all.\n')
  })

  test('have a heading on a terminal, and no colour where none is wanted', async () => {
    const options = { isTerminal: true, input: '', env: { NO_COLOR: '1' } }
    const { stdout } = await run(['agents', 'list'], options)
    assert.match(stdout, /^NAME +STATUS +MAY +CREATED\n/)
    assert.ok(!stdout.includes('\x1b'))
    const colored = await run(['agents', 'list'], { isTerminal: true, input: '' })
    assert.ok(colored.stdout.includes('\x1b[2m'))
  })
})

suite('agents of a running gateway', () => {
  test('are reached through its socket, and a second gateway is refused', async () => {
    const { run, start } = openFolder()
    const gateway = start(['serve', '--json'])
    const url = await gateway.printed(/"public_url": "(http[^"]+)"/)
    const created = await run(['agents', 'create', 'coach', '--json'])
    assert.equal(created.json.url, url)
    const second = await run(['serve'])
    assert.equal(second.code, 1)
    assert.match(second.stderr, /^okoro: Another okoro is using .*\n$/)
    gateway.stop()
    assert.equal((await gateway.ended).code, 0)
  })
})

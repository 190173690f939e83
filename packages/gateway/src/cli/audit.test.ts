import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openFolder } from './testing.ts'

const { run, start } = openFolder()

test('an export is the whole log, one JSON record a line, in order', async () => {
  for (const name of ['a', 'b', 'c']) await run(['agents', 'create', name])
  const { code, stdout } = await run(['audit', 'export'])
  assert.equal(code, 0)
  const records = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(
    records.map(({ seq }) => seq),
    records.map((_, index) => index),
  )
  for (const record of records) {
    for (const member of ['epoch', 'leaf_hash', 'disclosed', 'time', 'kind', 'workspace', 'n']) {
      assert.ok(member in record, member)
    }
  }
})

test('a list is newest first and can be narrowed', async () => {
  const { stdout } = await run(['audit', 'list', '--kind', 'agent.created', '--limit', '2'])
  const agents = stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t')[2])
  assert.deepEqual(agents, ['c', 'b'])
  const { json } = await run(['audit', 'list', '--agent', 'a', '--json'])
  assert.deepEqual(
    json.map(({ kind }: { kind: string }) => kind),
    ['agent.created'],
  )
})

test('a tail follows what is written, until Ctrl-C', async () => {
  const gateway = start(['serve'])
  await gateway.printed(/is running/)
  const tail = start(['audit', 'tail', '--follow', '--kind', 'agent.created'])
  await tail.printed(/agent\.created\tc\t/)
  await run(['agents', 'create', 'later'])
  await tail.printed(/agent\.created\tlater\t/)
  tail.stop()
  const { code, stdout } = await tail.ended
  assert.equal(code, 0)
  assert.equal(stdout.match(/later/g)?.length, 1)
  gateway.stop()
  await gateway.ended
})

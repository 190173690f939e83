import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { eventNames } from './events.ts'
import { faultKinds } from './faults.ts'
import { commandNames } from './server.ts'

const page = await readFile(new URL('../../../../docs/sandbox.md', import.meta.url), 'utf8')

const tables = { command: commandNames, event: eventNames, fault: faultKinds }

for (const [what, names] of Object.entries(tables)) {
  test(`docs/sandbox.md names every ${what}`, () => {
    const missing = names.filter((name) => !page.includes(`\`${name}\``))
    assert.deepEqual(missing, [])
  })
}

test('docs/sandbox.md names no command that does not exist', () => {
  const named = [...page.matchAll(/`((?:GET|POST|DELETE|PUT) \/[a-z]+)`/g)].map(([, name]) => name)
  assert.deepEqual(
    named.filter((name) => !commandNames.some((it) => it === name)),
    [],
  )
})

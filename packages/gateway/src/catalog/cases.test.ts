import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { runCase } from './case.ts'
import { checkProvider, readCases } from './check.ts'
import { readProvider } from './load.ts'

/** Every case of every provider in the catalogue is a test of its own, named in its cases.yaml. */
const catalogue = join(import.meta.dirname, '../../../../providers')

for (const entry of readdirSync(catalogue, { withFileTypes: true })) {
  if (!entry.isDirectory()) continue
  const folder = join(catalogue, entry.name)
  const provider = await readProvider(folder)
  const { clock, cases } = await readCases(folder)

  describe(entry.name, () => {
    for (const each of cases) {
      test(each.name, () => {
        const { ok, detail } = runCase(each, provider, Date.parse(clock))
        assert.ok(ok, detail)
      })
    }

    test('every rule has a case, and the folder is complete', async () => {
      const { findings } = await checkProvider(folder)
      assert.deepEqual(findings, [])
    })
  })
}

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { runCase } from './case.ts'
import { checkProvider, readCases } from './check.ts'
import { readProvider } from './load.ts'

/** Every case of every provider is a test of its own, named by the sentence in its cases.yaml. */
const catalogues = ['../../../../providers', 'examples'].map((dir) =>
  join(import.meta.dirname, dir),
)

for (const folder of catalogues.flatMap(foldersIn)) {
  const provider = await readProvider(folder)
  const { clock, cases } = await readCases(folder)

  describe(provider.name, () => {
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

function foldersIn(dir: string): string[] {
  const entries = readdirSync(dir, { withFileTypes: true })
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(dir, entry.name))
}

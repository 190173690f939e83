import assert from 'node:assert/strict'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { checkProvider } from './check.ts'
import { loadCatalog } from './load.ts'

const examples = join(import.meta.dirname, 'examples')
const providers = join(import.meta.dirname, '../../../../providers')
const scratch = await mkdtemp(join(tmpdir(), 'okoro-catalog-'))
after(() => rm(scratch, { recursive: true }))

/** A catalogue of one: the example, changed by `edit`. */
async function edited(name: string, edit: (yaml: string) => string): Promise<string> {
  const dir = join(scratch, name)
  await cp(examples, dir, { recursive: true })
  const path = join(dir, 'forge/provider.yaml')
  await writeFile(path, edit(await readFile(path, 'utf8')))
  return dir
}

test('every directory adds its providers', async () => {
  const catalog = await loadCatalog([providers, examples], new Map())
  assert.ok(catalog.providers.has('withings') && catalog.providers.has('forge'))
  const alone = await loadCatalog([examples], new Map())
  assert.match(catalog.digest, /^[0-9a-f]{64}$/)
  assert.notEqual(catalog.digest, alone.digest)
})

test('a later directory may not replace a provider', async () => {
  await assert.rejects(loadCatalog([examples, examples], new Map()), /another provider forge/)
})

test('a sandbox reaches its provider, and one for nobody is an error', async () => {
  const at = 'http://127.0.0.1:9000'
  const { providers: loaded } = await loadCatalog([examples], new Map([['forge', at]]))
  assert.equal(loaded.get('forge')?.sandbox, at)
  await assert.rejects(loadCatalog([examples], new Map([['gone', at]])), /no provider gone/)
})

test('a directory that is not there is named', async () => {
  await assert.rejects(loadCatalog([join(scratch, 'gone')], new Map()), /gone: ENOENT/)
})

test('a folder without a provider file is named', async () => {
  const dir = join(scratch, 'empty')
  await mkdir(join(dir, 'nobody'), { recursive: true })
  await assert.rejects(loadCatalog([dir], new Map()), /nobody.provider\.yaml: ENOENT/)
})

test('files and hidden folders beside the providers are left alone', async () => {
  const dir = await edited('beside', (yaml) => yaml)
  await mkdir(join(dir, '.git'))
  await writeFile(join(dir, 'README.md'), '')
  assert.equal((await loadCatalog([dir], new Map())).providers.size, 1)
})

const mistakes: [what: string, edit: (yaml: string) => string, message: RegExp][] = [
  ['YAML that is none', (yaml) => `${yaml}\n  x: [`, /provider\.yaml: /],
  ['a key twice', (yaml) => `${yaml}\ntitle: Two`, /Map keys must be unique/],
  ['a name that is not the folder', (yaml) => yaml.replace('name: forge', 'name: f'), /folder's/],
  ['an unknown member', (yaml) => `${yaml}\ncolour: red`, /Unrecognized key: "colour"/],
  [
    'a level that does not exist',
    (yaml) => yaml.replace('level: read', 'level: look'),
    /endpoints\[0\]\.rules\[0\]\.level/,
  ],
  [
    'a mistake behind the schema',
    (yaml) => yaml.replace('id: repos.update', 'id: repos.get'),
    /rule repos\.get: the id is there twice/,
  ],
]

for (const [what, edit, message] of mistakes) {
  test(`${what} names the file and the place`, async () => {
    const dir = await edited(what.replaceAll(' ', '-'), edit)
    await assert.rejects(loadCatalog([dir], new Map()), (error: Error) => {
      assert.match(error.message, /forge.provider\.yaml: /)
      assert.match(error.message, message)
      return true
    })
    const check = await checkProvider(join(dir, 'forge'))
    assert.equal(check.ok, false)
    assert.match(check.findings.join(), message)
  })
}

test('the check of a whole folder is clean', async () => {
  const check = await checkProvider(join(examples, 'forge'))
  assert.equal(check.ok, true)
  assert.ok(check.cases.length > 20)
})

test('the check finds a case that no longer holds, a rule without one, and a missing guide', async () => {
  const dir = await edited('stale', (yaml) =>
    yaml.replace('level: delete', 'level: read').replace('id: files.get', 'id: files.read'),
  )
  await rm(join(dir, 'forge/guide.md'))
  const check = await checkProvider(join(dir, 'forge'))
  assert.equal(check.ok, false)
  assert.deepEqual(check.findings, [
    'no case allows files.read',
    'guide.md is missing: how does a person connect this?',
  ])
  const failed = check.cases.filter(({ ok }) => !ok)
  assert.deepEqual(
    failed.map(({ name }) => name),
    [
      'to delete needs delete',
      'a literal that leads nowhere gives way to the capture',
      'two stars stand for everything below',
    ],
  )
  assert.match(
    failed[0]?.detail ?? '',
    /expected deny insufficient_scope.*\nbut got +allow repos.delete/,
  )
})

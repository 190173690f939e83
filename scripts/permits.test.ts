import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'

/** "Types are permits": a copy of the gateway with one step taken out must not compile. */

const root = fileURLToPath(new URL('..', import.meta.url))
mkdirSync(join(root, 'build'), { recursive: true })
const copy = mkdtempSync(join(root, 'build', 'permits-'))
after(() => rmSync(copy, { recursive: true, force: true }))
const source = join(copy, 'src')
cpSync(join(root, 'packages/gateway/src'), source, {
  recursive: true,
  filter: (path) => !/(?:\.test|testing)\.ts$/.test(path),
})
writeFileSync(
  join(copy, 'tsconfig.json'),
  JSON.stringify({ extends: '../../tsconfig.json', include: ['src/proxy/proxy.ts'] }),
)
const path = join(source, 'proxy/attempt.ts')
const original = readFileSync(path, 'utf8')

function compile(change: readonly [what: string, instead: string] | null): string {
  if (change) assert.ok(original.includes(change[0]), `there is no ${change[0]} any more`)
  writeFileSync(path, change ? original.replace(...change) : original)
  const tsc = join(root, 'node_modules/.bin/tsc')
  return spawnSync(tsc, ['-p', copy], { encoding: 'utf8' }).stdout
}

test('the straight path as it stands compiles', () => {
  assert.equal(compile(null), '')
})

const skipped: readonly (readonly [name: string, what: string, instead: string])[] = [
  [
    'append',
    'await append(parts.store, decided, {',
    'await (async (..._: unknown[]) => ({ audited: decided, number: 0 }))(parts.store, decided, {',
  ],
  ['decide', 'decide(composed, { ...current, provider })', '{ composed }'],
  ['inject', 'inject(appended.audited, credential, provider)', 'appended.audited'],
]
for (const [name, what, instead] of skipped) {
  test(`without ${name} the straight path does not compile`, () => {
    assert.match(compile([what, instead]), /proxy\/attempt\.ts\(\d+,\d+\): error TS2/)
  })
}

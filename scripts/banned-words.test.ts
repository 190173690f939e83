import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findBannedWords } from './banned-words.ts'

const findings = (content: string, path = 'docs/a.md') =>
  findBannedWords(path, content).map(({ line, message }) => `${line}: ${message}`)

// Put together here, so that this file passes the check that it tests.
const home = '/home' + '/ann'
const registry = 'https://regis' + 'try.example.org'

test("a path into somebody's home is found with its line", () => {
  assert.deepEqual(findings(`# a\n\ncd ${home}/okoro`), [`3: a path of one machine: ${home}`])
  assert.equal(findings('see "/Users' + '/ann/x"').length, 1)
  assert.equal(findings('/root' + '/okoro').length, 1)
  assert.equal(findings('/work' + '/main/scripts').length, 1)
})

test('paths that every machine has are allowed', () => {
  for (const path of ['/var/lib/okoro', '/home/<you>', '~/home/x', 'https://a.example/home/page']) {
    assert.deepEqual(findings(path), [], path)
  }
})

test('a registry is found in any file', () => {
  assert.equal(findings(`registry=${registry}/`, '.npmrc').length, 1)
  assert.equal(
    findings(`"resolved": "https://${'x'}.example/a.tgz"`, 'package-lock.json').length,
    1,
  )
  assert.deepEqual(findings('"resolved": "packages/client"', 'package-lock.json'), [])
})

test('a test left out is found, in each of its forms', () => {
  for (const source of [
    "test.only('a', () => {})",
    "suite.skip ('a', () => {})",
    "test('a', { skip: true }, () => {})",
    "test('a', { todo: 'later' }, () => {})",
    "test('a', { only: true }, () => {})",
    "test('a', (t) => t.todo('later'))",
  ]) {
    assert.equal(findings(source, 'scripts/a.test.ts').length, 1, source)
  }
})

test('the same words in a string, in a comment or outside of tests are allowed', () => {
  assert.deepEqual(findings("// test.only('a')", 'scripts/a.test.ts'), [])
  assert.deepEqual(findings(`const a = "test.skip('a')"`, 'scripts/a.test.ts'), [])
  assert.deepEqual(findings("grant({ only: ['user.get'] })", 'scripts/a.test.ts'), [])
  assert.deepEqual(findings('grant.only(rules)', 'packages/gateway/src/policy/decide.ts'), [])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { captureNames, PathTree } from './path-tree.ts'

const templates = [
  '/',
  '/repos/{owner}/{repo}',
  '/repos/{owner}/{repo}/files/**',
  '/repos/templates/{repo}',
  '/jobs/{id}',
  '/jobs/{id}:cancel',
  '/jobs/all:cancel',
  '/uploads/',
  '/trees/{id}/{+path}',
]

function treeOf(paths: readonly string[]): PathTree<{ template: string }> {
  const tree = new PathTree<{ template: string }>()
  for (const template of paths) tree.at(template, () => ({ template }))
  return tree
}

const matches: [path: string, template: string | null, captures?: string[]][] = [
  ['/', '/'],
  ['/repos/ada/engine', '/repos/{owner}/{repo}', ['ada', 'engine']],
  ['/repos/templates/x', '/repos/templates/{repo}', ['x']],
  ['/repos/templates/x/files/a', '/repos/{owner}/{repo}/files/**', ['templates', 'x']],
  ['/repos/ada/engine/files/a/b/c', '/repos/{owner}/{repo}/files/**', ['ada', 'engine']],
  ['/repos/ada/engine/files', null],
  ['/repos/ada/engine/files/', null],
  ['/repos/ada', null],
  ['/repos//engine', null],
  ['/repos/ada/engine/', null],
  ['/repos/ada/', null],
  ['/REPOS/ada/engine', null],
  ['/jobs/7', '/jobs/{id}', ['7']],
  ['/jobs/a%20b', '/jobs/{id}', ['a%20b']],
  ['/jobs/7:cancel', '/jobs/{id}:cancel', ['7']],
  ['/jobs/all:cancel', '/jobs/all:cancel'],
  ['/jobs/7:restart', null],
  ['/jobs/7:', null],
  ['/jobs/7:cancel:cancel', null],
  ['/jobs/:cancel', null],
  ['/jobs/{id}', '/jobs/{id}', ['{id}']],
  ['/uploads/', '/uploads/'],
  ['/uploads', null],
  ['/trees/7/a', '/trees/{id}/{+path}', ['7', 'a']],
  ['/trees/7/a/b%2Fc/d:e', '/trees/{id}/{+path}', ['7', 'a/b%2Fc/d:e']],
  ['/trees/7', null],
  ['/trees/7/', null],
  ['/trees/7/a/', null],
  ['/trees//a', null],
  ['/constructor', null],
  ['/__proto__', null],
]

for (const [path, template, captures = []] of matches) {
  test(`${path} fits ${template ?? 'no template'}`, () => {
    const found = treeOf(templates).match(path)
    assert.equal(found?.value.template ?? null, template)
    if (found) assert.deepEqual(found.captures, captures)
  })
}

test('captures are named in the order of their segments', () => {
  assert.deepEqual(captureNames('/repos/{owner}/{repo}/jobs/{id}:cancel'), ['owner', 'repo', 'id'])
  assert.deepEqual(captureNames('/trees/{id}/{+path}'), ['id', 'path'])
})

test('a template that is no path of segments is a mistake', () => {
  for (const template of [
    '/a{b}',
    '/{a}{b}',
    '/{A}',
    '/a/**/b',
    '/{}',
    '/{a}:b:c',
    '/a}',
    '/{+a}/b',
    '/x{+a}',
  ]) {
    assert.throws(() => treeOf([template]), /capture is a whole segment|only at the end/, template)
  }
})

test('a look-up among 10,000 templates costs no more than among ten', () => {
  const many = Array.from({ length: 10_000 }, (_, i) => `/service${i}/{id}/items/{item}`)
  const [few, full] = [treeOf(many.slice(0, 10)), treeOf(many)]
  const best = (tree: PathTree<object>) => Math.min(...Array.from({ length: 20 }, () => time(tree)))
  assert.ok(best(full) < best(few) * 5)
})

function time(tree: PathTree<object>): number {
  const start = process.hrtime.bigint()
  for (let i = 0; i < 2_000; i++) tree.match('/service7/a/items/b')
  return Number(process.hrtime.bigint() - start)
}

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { readProvider } from '../catalog/load.ts'
import { responseHeaders } from './headers.ts'
import type { Place } from './links.ts'

const root = join(import.meta.dirname, '../../../../providers')
const github = await readProvider(join(root, 'github'))
const forge = await readProvider(join(import.meta.dirname, '../catalog/examples/forge'))

const called: Place = {
  ...{ provider: github, publicUrl: 'https://gate.example', calledPath: '/repos/ada/x/issues' },
  sentTo: 'https://api.github.com/repos/ada/x/issues',
}
const given: Place = {
  ...{ provider: forge, publicUrl: 'https://gate.example', calledPath: '/jobs/7' },
  sentTo: 'https://api.forge.example/jobs/7',
}

/** What an agent gets for one header of an answer; null when it is left out. */
const led = (name: string, value: string, place: Place): string | null =>
  responseHeaders([name, value], place)[1] ?? null

const here = 'https://gate.example/p/github'

const links: [what: string, value: string, led: string | null][] = [
  [
    'pages keep the path that was called, and the query and parameters of the link',
    '<https://api.github.com/repositories/13/issues?per_page=2&page=2>; rel="next", <https://api.github.com/repositories/13/issues?page=9>; rel="last"; title="a, b <c>"',
    `<${here}/repos/ada/x/issues?per_page=2&page=2>; rel="next", <${here}/repos/ada/x/issues?page=9>; rel="last"; title="a, b <c>"`,
  ],
  [
    'a relation without quotes and in capitals is one',
    '<https://api.github.com/repositories/13/issues?page=1>;REL=First',
    `<${here}/repos/ada/x/issues?page=1>;REL=First`,
  ],
  [
    'a link that is no page keeps its own path',
    '<https://api.github.com/users/ada>; rel="author"',
    `<${here}/users/ada>; rel="author"`,
  ],
  [
    'a link that is a page among other things keeps its own path',
    '<https://api.github.com/users/ada?page=2>; rel="next author"',
    `<${here}/users/ada?page=2>; rel="next author"`,
  ],
  ['a path of the provider is one of its URLs', '</x?a=b>', `<${here}/x?a=b>`],
  ['a query alone belongs to what was sent', '<?page=2>', `<${here}/repos/ada/x/issues?page=2>`],
  ['a host that begins the same is foreign', '<https://api.github.com.evil/x>; rel="next"', null],
  ['a host that ends the same is foreign', '<https://xapi.github.com/x>; rel="next"', null],
  ['user information is foreign', '<https://a:b@api.github.com/x>; rel="next"', null],
  ['a host as user information is foreign', '<https://api.github.com@evil.example/x>', null],
  ['another port is foreign', '<https://api.github.com:8443/x>; rel="next"', null],
  ['plain HTTP is foreign', '<http://api.github.com/x>; rel="next"', null],
  ['a host without a scheme is foreign', '<//evil.example/x>; rel="next"', null],
  ['a backslash makes no host', '<https://evil.example\\@api.github.com/x>; rel="next"', null],
  ['a script is foreign', '<javascript:alert(1)>; rel="next"', null],
  ['what is no URL is left out', '<https://[/x>; rel="next"', null],
  [
    'foreign links are left out, and the others stay',
    '<https://evil.example/?a,b>; rel="next", <https://api.github.com/r?page=3>; rel="prev"',
    `<${here}/repos/ada/x/issues?page=3>; rel="prev"`,
  ],
  [
    'what does not keep to the grammar is left out whole',
    'https://api.github.com/x; rel="next"',
    null,
  ],
  ['an unclosed quote is left out whole', '<https://api.github.com/x>; rel="next', null],
  ['an unclosed bracket is left out whole', '<https://api.github.com/x; rel="next"', null],
  ['a bracket within a bracket is left out whole', '<https://api.github.com/<x>>; rel=next', null],
  ['a good link in front of a bad one is left out too', '<https://api.github.com/x>, x', null],
]

for (const [what, value, expected] of links) {
  test(what, () => assert.equal(led('Link', value, called), expected))
}

test('a provider that pages by the path that was called needs no word for it', () => {
  const value = '<https://api.forge.example/jobs/8?page=2>; rel="next"'
  const expected = '<https://gate.example/p/forge/jobs/8?page=2>; rel="next"'
  assert.equal(led('link', value, given), expected)
})

test('a URL is rewritten only when the same path leads to the same host again', () => {
  const at = 'https://gate.example/p/forge'
  assert.equal(led('Location', 'https://uploads.forge.example/uploads/', given), `${at}/uploads/`)
  assert.equal(led('Location', 'https://uploads.forge.example/jobs/7', given), null)
  assert.equal(led('Location', 'https://api.forge.example/uploads/', given), null)
})

test('Location leads through the gateway, with the path that it has', () => {
  const url = 'https://api.github.com/repositories/13?a=b#c'
  assert.equal(led('location', url, called), `${here}/repositories/13?a=b`)
  assert.equal(led('Content-Location', '/x', called), `${here}/x`)
})

test('a signed URL elsewhere never reaches an agent', () => {
  const signed = 'https://codeload.example/ada/x/zip/main?token=AAAA'
  assert.deepEqual(responseHeaders(['Location', signed, 'ETag', '"x"'], called), ['ETag', '"x"'])
})

test('rewritten headers keep their name, their place and their number', () => {
  const raw = ['ETag', '"x"', 'LINK', '</a>', 'Date', 'now', 'Link', '</b>']
  const expected = ['ETag', '"x"', 'LINK', `<${here}/a>`, 'Date', 'now', 'Link', `<${here}/b>`]
  assert.deepEqual(responseHeaders(raw, called), expected)
})

const pieces = fc.constantFrom(
  ...[
    '<',
    '>',
    ',',
    ';',
    '"',
    '\\',
    ' ',
    '\t',
    '=',
    'rel',
    'next',
    '/x',
    '?p=1',
    '#',
    '@',
    ':',
    '//',
  ],
  ...[
    'https://api.github.com',
    'https://api.github.com.evil',
    'https://evil.example',
    'a%2Fb',
    '..',
  ],
)

test('whatever a provider writes, every URL that an agent gets leads through the gateway', () => {
  const values = fc.array(pieces, { maxLength: 30 }).map((all) => all.join(''))
  fc.assert(
    fc.property(fc.constantFrom('link', 'location'), values, (name, value) => {
      const found = led(name, value, called)
      if (found === null) return
      const urls =
        name === 'link' ? [...found.matchAll(/<([^>]*)>/g)].map(([, url]) => url) : [found]
      const bare = found.replaceAll(/"(?:[^"\\]|\\.)*"/g, '')
      for (const url of urls) if (bare.includes(`<${url}>`)) assert.ok(url?.startsWith(`${here}/`))
      if (name === 'location') assert.ok(found.startsWith(`${here}/`))
    }),
    { numRuns: 20_000 },
  )
})

test('the longest header that fits is read without going back and forth', () => {
  const hostile = [
    `<x>${'; a="\\'.repeat(3_000)}`,
    `${'<'.repeat(16_000)}`,
    `<x>${' '.repeat(16_000)}x`,
    `<x>${'; a '.repeat(4_000)}<`,
    `${'<x>,'.repeat(4_000)}x`,
  ]
  for (const value of hostile) assert.equal(led('link', value, called), null)
})

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { readProvider } from '../catalog/load.ts'
import { isRefusal } from '../errors.ts'
import { resolveTarget } from './target.ts'

const withings = await readProvider(join(import.meta.dirname, '../../../../providers/withings'))

const resolve = (url: string) => resolveTarget({ method: 'POST', url }, withings)
const codeOf = (url: string): string => {
  const target = resolve(url)
  return isRefusal(target) ? target.code : 'ok'
}

const passing: [url: string, path: string, query: string | null][] = [
  ['', '/', null],
  ['/', '/', null],
  ['?a=b', '/', 'a=b'],
  ['/?', '/', ''],
  ['/measure?a=b?c', '/measure', 'a=b?c'],
  ["/a.b_c~d-e/!$&'()*+,=:@", "/a.b_c~d-e/!$&'()*+,=:@", null],
  ['/a%20b%C3%BC%F0%9F%98%80', '/a%20b%C3%BC%F0%9F%98%80', null],
  ['/...', '/...', null],
  ['/.well-known/x', '/.well-known/x', null],
  ['/..x/x..', '/..x/x..', null],
  ['/x?q=%2F%5C%3B%3F%23%25&r=[]{}"<>\\;//..', '/x', 'q=%2F%5C%3B%3F%23%25&r=[]{}"<>\\;//..'],
]

for (const [url, path, query] of passing) {
  test(`${url || 'an empty target'} passes unchanged`, () => {
    assert.deepEqual(resolve(url), { provider: 'withings', method: 'POST', path, query })
  })
}

const controls = Array.from({ length: 32 }, (_, code) => code).concat(127)
const hex = (code: number) => `%${code.toString(16).padStart(2, '0')}`

const ambiguous = [
  ...['%2f', '%2F', '%5c', '%5C', '%2e', '%2E', '%25', '%3b', '%3B', '%3a', '%3A', '%3f', '%23'],
  ...controls.map(hex),
  // Escaped unreserved characters: two spellings of one path.
  ...['%61', '%5A', '%30', '%2d', '%5f', '%7e', '%7E'],
  // Bad escapes.
  ...['%', '%2', '%zz', '%u0041', '%%41', '%-1', '% 1', '%4g'],
  // No UTF-8: cut short, overlong, surrogates, too high, a lone continuation.
  ...['%C3', '%C3x', '%C3%28', '%C3é', '%C0%AF', '%E0%80%AF', '%ED%A0%80', '%F4%90%80%80', '%80'],
  ...['%F0%80%80%80', '%F5%80%80%80', '%FF', '%E2%82', '%C1%81'],
  ...['\\', ';', '//', 'é', '\u0000', '\t', ' ', '\x7f', '\u2028', '#', '\ud800'],
  ...['"', '<', '>', '[', ']', '^', '`', '{', '|', '}'],
  ...['/./y', '/../y', '/.', '/..', '/y/'],
]

for (const bad of ambiguous) {
  test(`${JSON.stringify(bad)} in the path is refused`, () => {
    assert.equal(codeOf(`/x${bad}`), 'bad_target')
    assert.equal(codeOf(`/x${bad}?a=b`), 'bad_target')
  })
}

const badQueries = [
  '%',
  '%4',
  '%zz',
  '%C3',
  '%C0%AF',
  '%ED%A0%80',
  '#',
  'é',
  ' ',
  '\t',
  '\x7f',
  '\0',
]

for (const bad of [...badQueries, ...controls.map(hex)]) {
  test(`${JSON.stringify(bad)} in the query is refused`, () => {
    assert.equal(codeOf(`/x?a=${bad}`), 'bad_target')
  })
}

test('absolute, authority and asterisk forms are refused', () => {
  for (const url of ['http://x.example/measure', 'x.example:443', '*', 'measure', '../measure']) {
    assert.equal(codeOf(url), 'bad_target', url)
  }
})

test('closed paths are refused in every letter case and with anything behind them', () => {
  for (const path of [
    '/v2/oauth2',
    '/V2/OAUTH2',
    '/v2/oAuth2/x/y',
    '/v2/oauth2x',
    '/v2/Signature',
  ]) {
    for (const method of ['GET', 'POST', 'DELETE', 'TRACE', 'NONSENSE']) {
      const target = resolveTarget({ method, url: `${path}?a=b` }, withings)
      assert.ok(isRefusal(target) && target.code === 'forbidden_target', `${method} ${path}`)
    }
  }
})

test('every refusal says where the fault is', () => {
  const refusal = resolve('/v2/%6Dasure')
  assert.ok(isRefusal(refusal))
  assert.match(refusal.message, /"%6D" at position 4/)
})

const pieces = fc.constantFrom(
  ...['/', '.', '..', '//', '%2e', '%2F', '%25', '%41', '%c3%bc', '%C3', '%', '?', '#', ';', '\\'],
  ...['a', 'V2', 'oauth2', 'measure', '{x}', ':', '@', '&', '=', '+', '~', ' ', 'é', '\0', '%00'],
)
const targets = fc.oneof(
  fc.array(pieces, { maxLength: 12 }).map((all) => `/${all.join('')}`),
  fc.webPath().map((path) => path || '/'),
  fc.string({ maxLength: 30 }).map((text) => `/${text}`),
)

test('what resolves is the same characters, and resolves to itself again', () => {
  fc.assert(
    fc.property(targets, (url) => {
      const target = resolve(url)
      if (isRefusal(target)) return
      const written = target.query === null ? target.path : `${target.path}?${target.query}`
      assert.equal(written, url)
      assert.deepEqual(resolve(written), target)
    }),
    { numRuns: 20_000 },
  )
})

test('a URL parser and a decoder read the same segments out of what resolves', () => {
  fc.assert(
    fc.property(targets, (url) => {
      const target = resolve(url)
      if (isRefusal(target)) return
      const parsed = new URL(`http://host${url}`)
      assert.equal(parsed.pathname, target.path)
      const decoded = decodeURIComponent(target.path)
      assert.equal(decoded.split('/').length, target.path.split('/').length)
      assert.equal(encodeURI(decodeURI(target.path)).split('/').length, decoded.split('/').length)
    }),
    { numRuns: 20_000 },
  )
})

test('what decodeURIComponent cannot read never resolves', () => {
  const escapes = fc.array(fc.integer({ min: 0, max: 255 }).map(hex), {
    minLength: 1,
    maxLength: 5,
  })
  fc.assert(
    fc.property(escapes, (all) => {
      const isReadable = (() => {
        try {
          return decodeURIComponent(all.join('')).length > 0
        } catch {
          return false
        }
      })()
      if (!isReadable) assert.equal(codeOf(`/x?${all.join('')}`), 'bad_target')
    }),
    { numRuns: 20_000 },
  )
})

/** Captures that are opted in to escapes, as a provider file has them. */
const github = await readProvider(join(import.meta.dirname, '../../../../providers/github'))
const opened = (url: string) => resolveTarget({ method: 'GET', url }, github)

const openedPieces = fc.constantFrom(
  ...[
    '%2F',
    '%2f',
    '%3A',
    '%23',
    '%3F',
    '%25',
    '%252F',
    '%5C',
    '%5c',
    '%2E',
    '%2e%2e',
    '%00',
    '%3B',
  ],
  ...[
    '.',
    '..',
    '...',
    '/',
    '//',
    'a',
    'protection',
    'docs',
    '%20',
    '%C3%BC',
    '%C0%AF',
    '%61',
    ':',
  ],
)
const places = fc.constantFrom(
  ...['contents/', 'labels/', 'issues/7/labels/', 'branches/', 'commits/', 'pulls/', 'readme', ''],
)
const openedTargets = fc
  .tuple(places, fc.array(openedPieces, { maxLength: 8 }))
  .map(([place, pieces]) => `/repos/ada/engine/${place}${pieces.join('')}`)

test('a path with opened escapes resolves to the same characters', () => {
  fc.assert(
    fc.property(openedTargets, (url) => {
      const target = opened(url)
      if (!isRefusal(target)) assert.equal(target.path, url)
    }),
    { numRuns: 20_000 },
  )
})

test('however often a path is decoded, it stays below its repository and within its endpoint', () => {
  let resolved = 0
  fc.assert(
    fc.property(openedTargets, (url) => {
      const target = opened(url)
      if (isRefusal(target)) return
      resolved += 1
      const decoded = decodeURIComponent(target.path)
      assert.equal(decodeURIComponent(decoded), decoded)
      assert.doesNotMatch(decoded, /[\\\0;%]/)
      const path = decoded.split(/[?#]/)[0] ?? ''
      assert.ok(
        !path
          .split('/')
          .slice(1)
          .some((each) => ['', '.', '..'].includes(each)),
        url,
      )
      const { pathname } = new URL(decoded, 'http://host')
      assert.ok(`${pathname}/`.startsWith('/repos/ada/engine/'), `${url} ${pathname}`)
      const [raw, other] = [target.path, decoded].map((each) => github.endpointsByPath.match(each))
      assert.ok(!other || other.value === raw?.value, url)
    }),
    { numRuns: 20_000 },
  )
  assert.ok(resolved > 500, `only ${resolved} resolved`)
})

test('what is opened for one capture is opened for no other', () => {
  const endpoints = github.endpoints.filter(({ path }) => path.includes('{'))
  for (const { path, escapes } of endpoints) {
    for (const [index, segment] of path.split('/').slice(1).entries()) {
      if (!segment.startsWith('{')) continue
      for (const escaped of ['%2F', '%3A', '%23', '%3F']) {
        const url = path.replace(segment, `a${escaped}b`).replaceAll(/\{[^}]+\}/g, 'x')
        const isOpen = [...(escapes?.bySegment[index] ?? [])].some((each) => each === escaped)
        assert.equal(!isRefusal(opened(url)), isOpen, url)
      }
    }
  }
})

test('a refusal of what was not opened says where it stands', () => {
  const refusal = opened('/repos/ada/engine/contents/docs%2Fa%5Cb')
  assert.ok(isRefusal(refusal))
  assert.match(refusal.message, /"%5C" at position 35/)
  const climbing = opened('/repos/ada/engine/contents/docs%2F..')
  assert.ok(isRefusal(climbing))
  assert.match(climbing.message, /^Once decoded: The path contains "\." or "\.\."/)
})

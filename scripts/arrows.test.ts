import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { checkArrows } from './arrows.ts'
import { readSources } from './repo-files.ts'

/** Messages about one gateway file with this source. */
function judge(name: string, source: string): readonly string[] {
  const file = { path: `packages/gateway/src/${name}.ts`, source }
  return checkArrows([file]).map(({ message }) => message)
}

/** `policy/decide → ../store/grants` as a file. */
function judgeArrow(from: string, to: string): readonly string[] {
  const up = '../'.repeat(from.split('/').length - 1) || './'
  return judge(from, `import { x } from '${up}${to}.ts'\n`)
}

suite('right arrows pass', () => {
  for (const [from, to] of [
    ['errors', 'words'],
    ['config', 'secret'],
    ['catalog/provider', 'words'],
    ['policy/decide', 'catalog/provider'],
    ['policy/decide', 'proxy/target'],
    ['proxy/compose', 'proxy/target'],
    ['inject/bearer', 'secret'],
    ['audit/verify', 'audit/tree'],
    ['store/records', 'audit/record'],
    ['store/dialect/sqlite', 'store/schema'],
    ['audit/append', 'store/records'],
    ['audit/append', 'audit/record'],
    ['connections/refresh', 'vault/seal'],
    ['connections/refresh', 'tokens/signing-keys'],
    ['catalog/load', 'catalog/provider'],
    ['tokens/exchange', 'tokens/operation-token'],
    ['proxy/proxy', 'audit/append'],
    ['proxy/proxy', 'proxy/forward'],
    ['proxy/admit', 'proxy/target'],
    ['mcp/tools', 'tokens/exchange'],
    ['mcp/tools', 'proxy/proxy'],
    ['app', 'admin/agents'],
    ['main', 'app'],
  ] as const) {
    test(`${from} may import ${to}`, () => assert.deepEqual(judgeArrow(from, to), []))
  }
})

suite('a planted wrong import is caught', () => {
  for (const [from, to, message] of [
    ['words', 'catalog/provider', 'words never import catalogue'],
    ['config', 'main', 'words never import main'],
    ['catalog/provider', 'policy/scope', 'catalogue never import rules'],
    ['catalog/provider', 'catalog/load', 'catalogue never import deeds'],
    ['policy/decide', 'store/grants', 'rules never import store'],
    ['inject/inject', 'store/schema', 'rules never import store'],
    ['inject/inject', 'vault/keys', 'rules never import deeds'],
    ['audit/record', 'audit/append', 'rules never import deeds'],
    ['proxy/compose', 'proxy/forward', 'rules never import doors'],
    ['vault/seal', 'vault/keys', 'rules never import deeds'],
    ['store/credentials', 'vault/seal', 'store never imports vault'],
    ['store/credentials', 'vault/keys', 'store never imports vault'],
    ['store/records', 'audit/append', 'store never import deeds'],
    ['tokens/operation-token', 'tokens/exchange', 'deeds never import doors'],
    ['connections/refresh', 'proxy/forward', 'deeds never import doors'],
    ['proxy/proxy', 'tokens/exchange', 'no door imports a door'],
    ['admin/agents', 'proxy/proxy', 'no door imports a door'],
    ['cli/call', 'admin/server', 'no door imports a door'],
    ['mcp/tools', 'admin/agents', 'no door imports a door'],
    ['tokens/exchange', 'mcp/tools', 'no door imports a door'],
    ['admin/server', 'app', 'doors never import app'],
    ['app', 'main', 'app never import main'],
  ] as const) {
    test(`${from} may not import ${to}`, () =>
      assert.deepEqual(judgeArrow(from, to), [`${message} (imports ${to})`]))
  }

  for (const [form, source] of [
    ['a type-only import', "import type { Db } from '../store/schema.ts'"],
    ['an inline type', "import { type Db } from '../store/schema.ts'"],
    ['an import over several lines', "import {\n  a,\n  b,\n} from '../store/schema.ts'"],
    ['a bare import', "import '../store/schema.ts'"],
    ['a namespace import', 'import * as s from "../store/schema.ts"'],
    ['a re-export', "export { a } from '../store/schema.ts'"],
    ['a star re-export', "export * from '../store/schema.ts'"],
    ['a dynamic import', "const s = await import('../store/schema.ts')"],
    ['a dynamic import in a template', 'await import(`../store/schema.ts`)'],
    ['an import type expression', "type Db = import('../store/schema.ts').Db"],
    ['a worker', "new Worker(new URL('../store/schema.ts', import.meta.url))"],
    ['an import after a tricky string', "const a = 'it\\'s /*'\nimport '../store/schema.ts'"],
    ['an import after a regular expression', "const a = /['\"`/*]/\nimport '../store/schema.ts'"],
    ['an import inside a template hole', "const a = `${await import('../store/schema.ts')}`"],
    ['an import without blanks', "import{a}from'../store/schema.ts'"],
  ] as const) {
    test(`${form} is an arrow`, () =>
      assert.deepEqual(judge('policy/decide', source), [
        'rules never import store (imports store/schema)',
      ]))
  }

  test('the line of the import is named', () => {
    const path = 'packages/gateway/src/policy/decide.ts'
    const source = "// decide\n\nimport { x } from '../store/schema.ts'\n"
    assert.deepEqual(
      checkArrows([{ path, source }]).map(({ line }) => line),
      [3],
    )
  })

  test('the real source with one more import fails', async () => {
    const files = await readSources()
    const before = checkArrows(files).length
    const planted = files.map((file) =>
      file.path === 'packages/gateway/src/words.ts'
        ? { ...file, source: `import { openStore } from './store/open.ts'\n${file.source}` }
        : file,
    )
    const messages = checkArrows(planted).map(({ message }) => message)
    assert.ok(messages.length > before)
    assert.ok(messages.includes('words never import store (imports store/open)'))
  })
})

suite('what is no import is no arrow', () => {
  for (const [what, source] of [
    ['a line comment', "// import '../store/schema.ts'"],
    ['a block comment', "/* import { a } from '../store/schema.ts' */"],
    ['a string', `const a = "import '../store/schema.ts'"`],
    ['a template', "const a = `import '../store/schema.ts'`"],
    ['a package', "import { sql } from 'kysely'"],
  ] as const) {
    test(`${what} passes`, () => assert.deepEqual(judge('policy/decide', source), []))
  }
})

suite('only main reads the environment', () => {
  for (const source of [
    'const a = process.env.HOME',
    "const a = process.env['HOME']",
    "const a = process['env'].HOME",
    'const { env } = process',
    "import { env } from 'node:process'",
    "import process from 'process'",
    'const a = `${process.env.HOME}`',
  ]) {
    test(`${source} is caught outside main.ts and allowed in it`, () => {
      assert.match(judge('config', source).join(), /only main\.ts reads process\.env/)
      assert.deepEqual(judge('main', source), [])
    })
  }
  test('the words in a comment or in a message are allowed', () => {
    assert.deepEqual(judge('config', "// process.env\nconst a = 'see process.env'"), [])
    assert.deepEqual(judge('config', 'process.exit(1)'), [])
  })
})

suite('a secret is revealed in three rooms alone', () => {
  const source = 'const a = key.reveal()\nconst b = key?.reveal()'
  for (const name of ['inject/bearer', 'vault/seal', 'connections/refresh']) {
    test(`${name} may`, () => assert.deepEqual(judge(name, source), []))
  }
  for (const name of ['proxy/forward', 'store/records', 'cli/call', 'app', 'audit/record']) {
    test(`${name} may not`, () => assert.equal(judge(name, source).length, 2))
  }
  test('its definition is no use of it', () => {
    assert.deepEqual(judge('secret', 'class A { reveal(): string { return "" } }'), [])
  })
})

suite('sockets to providers open in two places', () => {
  const opening = [
    "import { Pool } from 'undici'",
    "import { connect } from 'node:net'",
    "import * as tls from 'node:tls'",
    "import { request } from 'https'",
    'const answer = await fetch(url)',
    'const answer = await globalThis.fetch(url)',
  ]
  for (const source of opening) {
    test(`${source} is caught elsewhere`, () => {
      for (const name of ['policy/decide', 'proxy/proxy', 'store/open', 'admin/server', 'app']) {
        assert.equal(judge(name, source).length, 1, name)
      }
      for (const name of ['proxy/forward', 'connections/oauth2', 'connections/oauth/token']) {
        assert.deepEqual(judge(name, source), [], name)
      }
    })
  }
  test('doors and app listen with node:http, rules and store have nothing to do with it', () => {
    const source = "import { createServer } from 'node:http'"
    for (const name of ['app', 'listen', 'admin/server', 'cli/call', 'proxy/proxy']) {
      assert.deepEqual(judge(name, source), [])
    }
    for (const name of ['policy/decide', 'store/open', 'audit/append', 'inject/inject']) {
      assert.equal(judge(name, source).length, 1, name)
    }
  })
  test('types, and functions that only judge an address, open nothing', () => {
    assert.deepEqual(judge('proxy/proxy', "import type { Socket } from 'node:net'"), [])
    assert.deepEqual(judge('catalog/provider', "import { isIP, isIPv6 } from 'node:net'"), [])
    assert.equal(judge('catalog/provider', "import { isIP, connect } from 'node:net'").length, 1)
  })
  test('a method called fetch opens nothing', () => {
    assert.deepEqual(judge('app', 'const answer = await hono.fetch(request)'), [])
  })
})

suite('the tree', () => {
  test('a file in no layer needs a decision', () => {
    assert.match(judge('audit/surprise', '').join(), /no layer is written down/)
    assert.match(judge('surprise', '').join(), /no layer is written down/)
  })

  test('names that name no thing are refused, in tests too', () => {
    for (const path of [
      'packages/gateway/src/admin/utils.ts',
      'packages/sandbox/src/shared/a.ts',
      'scripts/helpers.test.ts',
      'e2e/common/start.ts',
    ]) {
      assert.equal(checkArrows([{ path, source: '' }]).length, 1, path)
    }
    const allowed = 'packages/gateway/src/tokens/service-token.ts'
    assert.deepEqual(checkArrows([{ path: allowed, source: '' }]), [])
  })

  test('a circle is found once and written out', () => {
    const file = (name: string, to: string) => ({
      path: `packages/sandbox/src/${name}.ts`,
      source: `import { x } from './${to}.ts'`,
    })
    const found = checkArrows([file('a', 'b'), file('b', 'c'), file('c', 'a'), file('d', 'a')])
    assert.deepEqual(
      found.map(({ message }) => message.replaceAll('packages/sandbox/src/', '')),
      ['imports run in a circle: a.ts → b.ts → c.ts → a.ts'],
    )
  })

  test('a test may import anything', () => {
    assert.deepEqual(judge('policy/decide.test', "import '../store/schema.ts'\nprocess.env.A"), [])
  })

  test('only a test imports a test', () => {
    assert.deepEqual(judge('store/testing', "import { connect } from 'node:net'"), [])
    assert.deepEqual(judge('store/open', "import { x } from './testing.ts'"), [
      'imports a test (./testing.ts)',
    ])
    assert.deepEqual(judge('store/open.test', "import { x } from './testing.ts'"), [])
    const homes = "import { x } from '../packages/gateway/src/store/testing.ts'"
    assert.deepEqual(checkArrows([{ path: 'e2e/homes.ts', source: homes }]), [])
  })

  test('no package reaches into another', () => {
    const judgeSandbox = (specifier: string) =>
      checkArrows([{ path: 'packages/sandbox/src/a.ts', source: `import '${specifier}'` }]).length
    assert.equal(judgeSandbox('../../client/src/wire.ts'), 1)
    assert.equal(judgeSandbox('../../../scripts/check.ts'), 1)
    assert.equal(judgeSandbox('@okoro/client/src/wire.ts'), 1)
    assert.equal(judgeSandbox('@okoro/client'), 0)
    assert.equal(judgeSandbox('./b.ts'), 0)
  })
})

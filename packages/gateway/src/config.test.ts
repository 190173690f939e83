import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { inspect } from 'node:util'
import { type SettingKey, settingKeys, settingVariable } from './config/settings.ts'
import { type ConfigInput, listenUrl, loadConfig } from './config.ts'

type Given = Partial<Omit<ConfigInput, 'readFile'>> & { readonly files?: Record<string, string> }

function load({ files = {}, ...given }: Given = {}) {
  return loadConfig({
    ...{ flags: {}, env: {}, home: '/srv/ada', hostname: 'box' },
    ...given,
    readFile: (path) => files[path] ?? null,
  })
}

function loaded(given: Given = {}) {
  const result = load(given)
  if (result.kind !== 'config') throw new Error(result.problems.join('\n'))
  return result
}

function problems(given: Given): readonly string[] {
  const result = load(given)
  return result.kind === 'problems' ? result.problems : []
}

const yaml = '/srv/ada/.config/okoro/okoro.yaml'

test('a flag wins over the environment, that over okoro.yaml, that over the default', () => {
  const files = { [yaml]: 'port: 3\nadmin_port: 30\nlog_level: debug' }
  const env = { OKORO_PORT: '2', OKORO_ADMIN_PORT: '20' }
  const { config, sources } = loaded({ files, env, flags: { port: '1' } })
  assert.deepEqual(
    [config.port, config.adminPort, config.logLevel, config.host],
    [1, 20, 'debug', '127.0.0.1'],
  )
  assert.deepEqual(
    [sources.port, sources.adminPort, sources.logLevel, sources.host],
    ['--port', 'OKORO_ADMIN_PORT', `log_level in ${yaml}`, 'default'],
  )
})

test('every setting has a default that its own parser accepts', () => {
  const { sources } = loaded()
  assert.deepEqual(
    settingKeys.map((key) => sources[key]),
    settingKeys.map(() => 'default'),
  )
})

test('the data folder follows XDG_DATA_HOME and falls back to the home folder', () => {
  assert.equal(loaded().config.dataDir, '/srv/ada/.local/share/okoro')
  assert.equal(loaded({ env: { XDG_DATA_HOME: '/data' } }).config.dataDir, '/data/okoro')
})

test('the public URL follows host and port until it is given', () => {
  assert.equal(loaded().config.publicUrl, 'http://127.0.0.1:8420')
  assert.equal(loaded({ env: { OKORO_PORT: '9000' } }).config.publicUrl, 'http://127.0.0.1:9000')
  const env = { OKORO_PUBLIC_URL: 'https://okoro.example/' }
  assert.equal(loaded({ env }).config.publicUrl, 'https://okoro.example')
  assert.equal(listenUrl('::', 80), 'http://[::1]:80')
  assert.equal(listenUrl('0.0.0.0', 80), 'http://127.0.0.1:80')
})

test('an empty variable counts as unset', () => {
  assert.equal(loaded({ env: { OKORO_PORT: '' } }).sources.port, 'default')
})

test('a sandbox is an origin per provider', () => {
  const { config } = loaded({
    env: { OKORO_SANDBOX: 'withings=http://127.0.0.1:1/, a=https://b.c' },
  })
  assert.deepEqual(
    [...(config.sandbox ?? [])],
    [
      ['withings', 'http://127.0.0.1:1'],
      ['a', 'https://b.c'],
    ],
  )
})

suite('what is wrong is told in one line that names the setting and where it came from', () => {
  for (const [key, value, reason] of [
    ['port', '84200', 'is no whole number from 0 to 65535'],
    ['port', '0x50', 'is no whole number from 0 to 65535'],
    ['host', 'a b', 'is no host name or IP address'],
    ['dataDir', '~/okoro', 'starts with ~, which only a shell expands'],
    ['publicUrl', 'okoro.example', 'is no http:// or https:// URL'],
    ['publicUrl', 'https://a:b@okoro.example', 'is no http:// or https:// URL'],
    ['publicUrl', 'https://okoro.example/?a', 'is no http:// or https:// URL'],
    ['logLevel', 'loud', 'is none of silent, error, warn, info, debug, trace'],
    ['agentRate', '0', 'is no whole number from 1 to 100000'],
    ['node', 'a/b', 'is no name of letters, digits, dots and dashes'],
  ] as const satisfies (readonly [SettingKey, string, string])[]) {
    test(`${key} ${value}`, () => {
      const name = settingVariable(key)
      const setting = name.replace('OKORO_', '').toLowerCase()
      const expected = [`${setting} "${value}" (from ${name}) ${reason}`]
      assert.deepEqual(problems({ env: { [name]: value } }), expected)
    })
  }

  for (const value of [
    'withings',
    'withings=ftp://127.0.0.1',
    'withings=http://10.0.0.1:80',
    'withings=http://127.0.0.1.evil.example',
    'withings=http://127.0.0.1:1/path',
    'a=http://127.0.0.1:1,b',
  ]) {
    test(`sandbox ${value}`, () => {
      const [problem = ''] = problems({ env: { OKORO_SANDBOX: value } })
      assert.match(problem, /is not like withings=http:\/\/127\.0\.0\.1:8422/)
    })
  }

  test('a data folder too deep for the admin socket', () => {
    const [problem = ''] = problems({ env: { OKORO_DATA_DIR: `/${'d'.repeat(100)}` } })
    assert.match(problem, /admin\.sock would not fit/)
  })

  test('all of it at once', () => {
    assert.equal(problems({ env: { OKORO_PORT: 'x', OKORO_ADMIN_PORT: 'y' } }).length, 2)
  })
})

suite('okoro.yaml', () => {
  test('is read where --config or OKORO_CONFIG says', () => {
    const files = { '/etc/a.yaml': 'port: 1', '/etc/b.yaml': 'port: 2' }
    const env = { OKORO_CONFIG: '/etc/a.yaml' }
    assert.equal(loaded({ files, env }).config.port, 1)
    assert.equal(loaded({ files, env, configFile: '/etc/b.yaml' }).config.port, 2)
  })

  test('is left alone by who asks for none', () => {
    const files = { [yaml]: 'port: 1' }
    assert.equal(loaded({ files, configFile: null }).config.port, 8420)
  })

  test('is an error where it was named and is not there', () => {
    assert.match(problems({ configFile: '/etc/a.yaml' }).join(), /there is no such file/)
  })

  test('with a name that is none tells the nearest', () => {
    const told = problems({ files: { [yaml]: 'prot: 1' } })
    assert.deepEqual(told, [`${yaml}: there is no setting "prot"; did you mean port?`])
  })

  for (const content of ['- port', 'port', 'port: [1]', 'port: 1\nport: 2', 'a: "']) {
    test(`that says ${JSON.stringify(content)} is refused in one line`, () => {
      const told = problems({ files: { [yaml]: content } })
      assert.equal(told.length, 1)
      assert.ok(told[0]?.startsWith(`${yaml}: `) && !told[0].includes('\n'), told[0])
    })
  }
})

suite('secrets', () => {
  test('are read from the file that OKORO_…_FILE names, without the white space around', () => {
    const url = 'postgres://ada:pw@db/okoro'
    const files = { '/run/url': `${url}\n` }
    const { config, sources } = loaded({ files, env: { OKORO_DATABASE_URL_FILE: '/run/url' } })
    assert.equal(config.databaseUrl, url)
    assert.equal(sources.databaseUrl, 'OKORO_DATABASE_URL_FILE')
  })

  test('given both ways are refused', () => {
    const env = { OKORO_ADMIN_TOKEN: 'a'.repeat(32), OKORO_ADMIN_TOKEN_FILE: '/run/token' }
    assert.match(
      problems({ env, files: { '/run/token': 'b' } }).join(),
      /both .* are set; keep one/,
    )
  })

  test('whose file is missing are refused', () => {
    const env = { OKORO_MASTER_KEY_FILE: '/run/key' }
    assert.deepEqual(problems({ env }), [
      'master_key (from OKORO_MASTER_KEY_FILE): there is no file /run/key',
    ])
  })

  test('are not in what a wrong one is told about', () => {
    assert.ok(
      !problems({ env: { OKORO_ADMIN_TOKEN: 'hunter2' } })
        .join()
        .includes('hunter2'),
    )
    assert.ok(
      !problems({ env: { OKORO_DATABASE_URL: 'mysql://hunter2' } })
        .join()
        .includes('hunter2'),
    )
  })

  test('of key and admin token cannot be printed out of the configuration', () => {
    const secret = 'k'.repeat(43)
    const { config } = loaded({ env: { OKORO_MASTER_KEY: secret, OKORO_ADMIN_TOKEN: secret } })
    assert.ok(!`${inspect(config)}${JSON.stringify(config)}`.includes(secret))
  })
})

suite('variables that okoro does not know', () => {
  test('bring a warning with the nearest name', () => {
    assert.deepEqual(loaded({ env: { OKORO_PROT: '1' } }).warnings, [
      'OKORO_PROT is set, but okoro knows no such variable; did you mean OKORO_PORT?',
    ])
  })

  test('bring none when they belong to the agent side or to others', () => {
    const env = { OKORO_URL: 'x', OKORO_SERVICE_TOKEN: 'x', OKORO_CLIENT_SECRET: 'x', PATH: '/' }
    assert.deepEqual(loaded({ env }).warnings, [])
  })
})

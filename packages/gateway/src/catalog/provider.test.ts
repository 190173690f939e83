import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { Malfunction } from '../errors.ts'
import { readProvider, readYaml } from './load.ts'
import { compileProvider, type ProviderFile, providerFile } from './provider.ts'

const forgeFolder = join(import.meta.dirname, 'examples/forge')
const withingsFolder = join(import.meta.dirname, '../../../../providers/withings')

const read = async (folder: string): Promise<ProviderFile> =>
  providerFile.parse(await readYaml(join(folder, 'provider.yaml')))

const forge = await read(forgeFolder)
const withings = await read(withingsFolder)
const [first, second] = withings.endpoints
assert.ok(first && second)
const { auth: pasted } = await read(join(import.meta.dirname, '../../../../providers/github'))
assert.ok(pasted.scheme === 'api_key')

const mistakes: [what: string, file: ProviderFile, message: RegExp][] = [
  [
    'two rules with one id',
    {
      ...withings,
      endpoints: [first, { ...second, rules: first.rules, default_action: 'getmeas' }],
    },
    /measure\.getmeas: the id is there twice/,
  ],
  [
    'two rules about one call',
    {
      ...withings,
      endpoints: [
        { ...first, rules: [...first.rules, ...first.rules.map((r) => ({ ...r, id: 'other' }))] },
      ],
    },
    /other: measure\.getmeas is about the same call/,
  ],
  [
    'two endpoints on one path',
    { ...withings, endpoints: [first, { ...second, path: first.path }] },
    /also leads to "Get body measurements"/,
  ],
  [
    'an endpoint below a closed path',
    { ...withings, closed: [...withings.closed, '/MEASURE'] },
    /lies below a closed path/,
  ],
  ['an open token endpoint', { ...withings, closed: [] }, /must cover the token endpoint/],
  [
    'an unknown host',
    { ...withings, endpoints: [{ ...first, host: 'elsewhere' }] },
    /endpoint \/measure, host: there is no host elsewhere/,
  ],
  ['no host for calls', { ...withings, hosts: { account: 'https://a.example' } }, /no host api/],
  [
    'a default action without a rule',
    { ...withings, endpoints: [{ ...first, default_action: 'none' }] },
    /no rule for its default_action/,
  ],
  [
    'an alias without an upstream',
    { ...withings, endpoints: [{ ...first, aliases: ['/other'] }] },
    /says with upstream which path is sent/,
  ],
  [
    'an upstream for a path with captures',
    { ...forge, endpoints: forge.endpoints.map((each) => ({ ...each, upstream: '/x' })) },
    /it has no upstream/,
  ],
  [
    'escapes for what no segment captures',
    {
      ...forge,
      endpoints: forge.endpoints.map((each) => ({
        ...each,
        escapes: { nobody: ['%2F' as const] },
      })),
    },
    /no whole segment captures nobody, named in escapes/,
  ],
  [
    'a host of the probe that is not there',
    { ...forge, auth: { ...pasted, probe: { ...pasted.probe, host: 'gone' } } },
    /auth\.probe\.host: there is no host gone/,
  ],
  [
    'a rule without an action where actions decide',
    {
      ...withings,
      endpoints: [{ ...first, rules: first.rules.map((r) => ({ ...r, action: undefined })) }],
    },
    /has an action exactly when/,
  ],
  [
    'a rule without methods where methods decide',
    {
      ...forge,
      endpoints: forge.endpoints.map((each) => ({
        ...each,
        rules: each.rules.map((rule) => ({ ...rule, methods: undefined })),
      })),
    },
    /must name its methods/,
  ],
  [
    'a text to be read where there is no envelope',
    { ...withings, envelope: undefined },
    /limits\.too_many: message and seconds_at need an envelope/,
  ],
  [
    'defaults where bodies pass untouched',
    {
      ...forge,
      endpoints: forge.endpoints.map((each) => ({
        ...each,
        rules: each.rules.map((r) => ({ ...r, defaults: [{ set: {}, unless_sent: [] }] })),
      })),
    },
    /defaults need encoding: form/,
  ],
]

for (const [what, file, message] of mistakes) {
  test(`${what} is a mistake that names its place`, () => {
    assert.throws(
      () => compileProvider(file),
      (error) => error instanceof Malfunction && message.test(error.message),
    )
  })
}

test('an unknown member, a plain http host and a hop-by-hop header are refused', () => {
  for (const wrong of [
    { ...withings, colour: 'red' },
    { ...withings, hosts: { api: 'http://wbsapi.withings.net' } },
    { ...withings, hosts: { api: 'https://wbsapi.withings.net/' } },
    { ...withings, request_headers: ['authorization'] },
    { ...withings, request_headers: ['X-Forwarded-For'] },
    { ...withings, request_headers: ['transfer-encoding'] },
    { ...withings, parameters: { names: '^(a+)+$' } },
    { ...withings, default_headers: { authorization: 'Bearer x' } },
    { ...withings, default_headers: { 'user-agent': 'x\r\ny: z' } },
    { ...withings, default_headers: { 'user-agent': '' } },
    { ...withings, endpoints: [{ ...first, escapes: { a: ['%25'] } }] },
    { ...withings, endpoints: [{ ...first, escapes: { a: ['%2E'] } }] },
    { ...withings, endpoints: [{ ...first, escapes: { a: ['%5C'] } }] },
    { ...withings, endpoints: [{ ...first, escapes: { a: ['%00'] } }] },
    { ...withings, endpoints: [{ ...first, escapes: { a: [] } }] },
    { ...forge, auth: { ...pasted, probe: undefined } },
    { ...withings, checked: 'yesterday' },
  ]) {
    assert.equal(providerFile.safeParse(wrong).success, false)
  }
})

test('editors get a JSON Schema in which every member is described', () => {
  const schema = z.toJSONSchema(providerFile, { io: 'input' })
  for (const [name, member] of Object.entries(schema.properties ?? {})) {
    assert.ok(typeof member === 'object' && member.description, name)
  }
  assert.equal(schema.additionalProperties, false)
})

test('a sandbox is every host, and no part of the digest', async () => {
  const real = await readProvider(withingsFolder)
  const sandboxed = await readProvider(withingsFolder, 'http://127.0.0.1:9000')
  assert.equal(real.sandbox, null)
  assert.deepEqual([...sandboxed.hosts.values()], Array(2).fill('http://127.0.0.1:9000'))
  assert.deepEqual(sandboxed.credentialHosts, ['http://127.0.0.1:9000'])
  const { auth } = sandboxed
  assert.ok(auth.scheme === 'oauth2')
  assert.equal(auth.token.url, 'http://127.0.0.1:9000/v2/oauth2')
  assert.equal(sandboxed.digest, real.digest)
  assert.throws(
    () => compileProvider(withings, { sandbox: 'http://127.0.0.1:9000/x' }),
    /no origin/,
  )
})

test('a credential is for the hosts of calls and tokens, not for the consent page', async () => {
  const { credentialHosts } = await readProvider(withingsFolder)
  assert.deepEqual(credentialHosts, ['https://wbsapi.withings.net'])
})

test('the digest changes with a rule, and not with the order of members', () => {
  const { digest } = compileProvider(withings)
  const reversed = Object.fromEntries(Object.entries(withings).reverse()) as ProviderFile
  const rules = first.rules.map((rule) => ({ ...rule, level: 'all' as const }))
  const changed = { ...withings, endpoints: [{ ...first, rules }, ...withings.endpoints.slice(1)] }
  assert.match(digest, /^[0-9a-f]{64}$/)
  assert.equal(compileProvider(reversed).digest, digest)
  assert.notEqual(compileProvider(changed).digest, digest)
})

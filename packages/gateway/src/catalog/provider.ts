import { createHash } from 'node:crypto'
import { z } from 'zod'
import { type Auth, authFile, compileAuth } from './auth.ts'
import { compileEndpoint, type Endpoint, endpointFile, type Rule } from './endpoint.ts'
import { compileLimits, type Limits, limitsFile } from './limits.ts'
import { PathTree } from './path-tree.ts'
import { looseName, mistake, word } from './vocabulary.ts'

/**
 * The closed vocabulary of `providers/<name>/provider.yaml`, and a provider as the rules use it.
 * What a file says is data: no member names a function, and no code names a provider. The JSON
 * Schema for editors comes from here: `z.toJSONSchema(providerFile, { io: 'input' })`.
 */

const parametersFile = z
  .strictObject({
    names: z
      .string()
      .regex(/^\^\[[^\]]+\]\+\$$/)
      .default('^[A-Za-z0-9_]+$')
      .describe('What a name looks like once decoded: one character class, repeated.'),
    action: z
      .string()
      .optional()
      .describe('The parameter that chooses what a call does, where there is such a one.'),
    forbidden: z
      .array(z.string())
      .default([])
      .describe('Parameters that no agent may send, in any letter case: credentials above all.'),
    json_arrays: z
      .array(z.string())
      .default([])
      .describe('Parameters whose arrays are sent as JSON text; all others as comma lists.'),
  })
  .describe('How parameters are read and written.')

const envelopeFile = z
  .strictObject({
    status: word.pointer.describe('Where in the answer the true status stands.'),
    ok: z.array(z.int()).min(1).describe('Its values that mean success.'),
    expired: z.array(z.int()).describe('Its values that mean: refresh the credential, try again.'),
    message: word.pointer.describe('Where the error text stands.'),
    source: word.source,
  })
  .describe('For providers that answer HTTP 200 and hide the truth in a JSON body.')

export const providerFile = z
  .strictObject({
    name: word.name.describe('The folder, and the first segment behind `/p/`.'),
    title: word.sentence.describe('The name that people know it by.'),
    summary: word.sentence.describe('What an agent finds there.'),
    docs: word.source.describe("The provider's own documentation."),
    checked: z.iso.date().describe('The day on which the facts were last compared with it.'),
    sources: z.array(word.source).min(1).describe('The pages that the facts come from.'),
    hosts: z
      .record(word.name, word.origin)
      .describe('Every origin that is ever spoken to, by a name. `api` is the default one.'),
    auth: authFile,
    encoding: z
      .enum(['form', 'none'])
      .describe(
        '`form`: query and body are merged and sent as POST with a form body. ' +
          '`none`: query and body pass untouched.',
      ),
    parameters: parametersFile.prefault({}),
    request_headers: z
      .array(word.header)
      .default([])
      .describe('Request headers that may pass besides the common ones.'),
    default_headers: z
      .record(word.header, word.headerValue)
      .default({})
      .describe('Request headers that are sent when the agent sends none of that name.'),
    link_path: z
      .enum(['given', 'called'])
      .default('given')
      .describe(
        'Which path the pages have that the header Link of an answer names. `given`: the one in ' +
          'the link. `called`: the one that was called, with the query of the link, for providers ' +
          'that name their pages by another path.',
      ),
    endpoints: z.array(endpointFile).min(1).describe('The paths that have rules.'),
    envelope: envelopeFile.optional(),
    limits: limitsFile.prefault({}),
    closed: z
      .array(word.path)
      .default([])
      .describe('Path prefixes, in any letter case, that are refused at every level.'),
    unknown_paths: z
      .enum(['needs_all', 'refuse'])
      .describe('What becomes of a call that no rule names.'),
  })
  .describe('One provider of the okoro catalogue.')

export type ProviderFile = z.output<typeof providerFile>

export type Encoding = ProviderFile['encoding']

export type Envelope = {
  /** JSON pointers into the answer. */
  readonly status: string
  readonly message: string
  readonly ok: readonly number[]
  readonly expired: readonly number[]
}

export type Parameters = {
  readonly names: RegExp
  readonly action: string | null
  /** As `looseName` reads them. */
  readonly forbidden: ReadonlySet<string>
  readonly jsonArrays: ReadonlySet<string>
}

/** A provider as the rules use it: everything looked up by name has been looked up. */
export type Provider = {
  readonly name: string
  readonly title: string
  readonly summary: string
  readonly docs: string
  readonly checked: string
  readonly sources: readonly string[]
  /** SHA-256, hex, of the file as canonical JSON. The sandbox is no part of it. */
  readonly digest: string
  /** The origin of a sandbox; then every host is that origin. */
  readonly sandbox: string | null
  /** Name → origin. */
  readonly hosts: ReadonlyMap<string, string>
  /** Of the host `api`: where paths that no endpoint names are sent. */
  readonly origin: string
  /** The origins that a credential is sealed for: the calls' and the token endpoint's. */
  readonly credentialHosts: readonly string[]
  readonly auth: Auth
  readonly encoding: Encoding
  readonly parameters: Parameters
  readonly requestHeaders: ReadonlySet<string>
  /** Sent when the agent sends none of that name. */
  readonly defaultHeaders: readonly (readonly [name: string, value: string])[]
  readonly linkPath: 'given' | 'called'
  /** The methods that may be tried at all. */
  readonly methods: ReadonlySet<string>
  readonly endpoints: readonly Endpoint[]
  readonly rules: readonly Rule[]
  readonly envelope: Envelope | null
  readonly limits: Limits
  /** Lower-case prefixes. */
  readonly closed: readonly string[]
  readonly unknownPaths: 'needs_all' | 'refuse'
  /** Where an agent's path leads. */
  readonly endpointsByPath: PathTree<Endpoint>
  /** The rules of a path as sent, by `<method> <action>`; see policy/rules.ts. */
  readonly rulesByPath: PathTree<Map<string, Rule>>
}

const commonMethods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

/**
 * Compiles a validated file; throws a Malfunction that names the member for what a schema cannot
 * see: double rule ids, unknown hosts, endpoints below a closed path.
 */
export function compileProvider(
  file: ProviderFile,
  options: { readonly sandbox?: string } = {},
): Provider {
  const sandbox = options.sandbox ?? null
  if (sandbox !== null && URL.parse(sandbox)?.origin !== sandbox) {
    mistake('sandbox', `${sandbox} is no origin, as in http://127.0.0.1:9000`)
  }
  const hosts = new Map(Object.entries(file.hosts).map(([name, at]) => [name, sandbox ?? at]))
  const originOf = (host: string, where: string): string =>
    hosts.get(host) ?? mistake(where, `there is no host ${host} in hosts`)
  const origin = originOf('api', 'hosts')

  const { encoding } = file
  const parameters = compileParameters(file)
  const context = { originOf, encoding, actionParameter: parameters.action }
  const endpoints = file.endpoints.map((endpoint) => compileEndpoint(endpoint, context))
  const rules = endpoints.flatMap((endpoint) => endpoint.rules)
  const closed = file.closed.map((prefix) => prefix.toLowerCase())
  checkClosed(endpoints, closed)
  const mustBeClosed = (host: string, path: string) => {
    if (file.hosts[host] !== file.hosts.api || isBelow(path, closed)) return
    mistake('closed', `must cover the token endpoint ${path}`)
  }
  const auth = compileAuth(file.auth, { originOf, mustBeClosed })

  return {
    ...{ name: file.name, title: file.title, summary: file.summary, docs: file.docs },
    ...{ checked: file.checked, sources: file.sources, digest: digestOf(file) },
    ...{ sandbox, hosts, origin, credentialHosts: credentialHosts(origin, endpoints, auth) },
    ...{ auth, encoding, parameters, requestHeaders: new Set(file.request_headers) },
    ...{ defaultHeaders: Object.entries(file.default_headers), linkPath: file.link_path },
    methods: new Set([...commonMethods, ...rules.flatMap((rule) => rule.methods)]),
    ...{ endpoints, rules, envelope: file.envelope ?? null },
    limits: compileLimits(file.limits, file.envelope !== undefined),
    ...{ closed, unknownPaths: file.unknown_paths },
    endpointsByPath: indexEndpoints(endpoints),
    rulesByPath: indexRules(rules),
  }
}

const credentialHosts = (origin: string, endpoints: readonly Endpoint[], auth: Auth): string[] => [
  ...new Set([origin, ...endpoints.map((each) => each.origin), ...auth.origins]),
]

function compileParameters({ parameters, encoding }: ProviderFile): Parameters {
  const { action = null, forbidden, json_arrays } = parameters
  if (action !== null && encoding !== 'form') mistake('parameters.action', 'needs encoding: form')
  return {
    names: new RegExp(parameters.names),
    action,
    forbidden: new Set(forbidden.map(looseName)),
    jsonArrays: new Set(json_arrays),
  }
}

const isBelow = (path: string, closed: readonly string[]): boolean =>
  closed.some((prefix) => path.toLowerCase().startsWith(prefix))

function checkClosed(endpoints: readonly Endpoint[], closed: readonly string[]): void {
  for (const { path, aliases, upstream } of endpoints) {
    const open = [path, ...aliases, upstream ?? path].find((each) => isBelow(each, closed))
    if (open !== undefined) mistake(`endpoint ${path}`, `${open} lies below a closed path`)
  }
}

function indexEndpoints(endpoints: readonly Endpoint[]): PathTree<Endpoint> {
  const tree = new PathTree<Endpoint>()
  for (const endpoint of endpoints) {
    for (const path of [endpoint.path, ...endpoint.aliases]) {
      const first = tree.at(path, () => endpoint)
      if (first !== endpoint) mistake(`endpoint ${path}`, `also leads to "${first.name}"`)
    }
  }
  return tree
}

function indexRules(rules: readonly Rule[]): PathTree<Map<string, Rule>> {
  const tree = new PathTree<Map<string, Rule>>()
  const ids = new Set<string>()
  for (const rule of rules) {
    if (ids.has(rule.id)) mistake(`rule ${rule.id}`, 'the id is there twice')
    ids.add(rule.id)
    const calls = tree.at(rule.path, () => new Map())
    for (const method of rule.methods) {
      const key = callKey(method, rule.action)
      const other = calls.get(key)
      if (other) mistake(`rule ${rule.id}`, `${other.id} is about the same call`)
      calls.set(key, rule)
    }
  }
  return tree
}

/** What tells the calls on one path apart. */
export const callKey = (method: string, action: string | null): string =>
  `${method} ${action ?? ''}`

const digestOf = (file: ProviderFile): string =>
  createHash('sha256')
    .update(JSON.stringify(sorted(file)))
    .digest('hex')

/** RFC 8785 in effect: members in order, the rest as JSON.stringify writes it. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(members.map(([name, member]) => [name, sorted(member)]))
}

import { z } from 'zod'
import { type Scope, scopes } from '../words.ts'
import { captureNames } from './path-tree.ts'
import { mistake, word } from './vocabulary.ts'

/**
 * Escapes that some servers decode before they take a path apart. Never among them: escaped dots,
 * backslashes, semicolons, controls and `%25`, behind which a second escape could hide.
 */
export const escapes = ['%23', '%2F', '%3A', '%3F'] as const
export type Escape = (typeof escapes)[number]

/** The paths of a provider, the calls that can be made on them, and the level that each needs. */

const valueFile = z
  .union([
    z.string().describe('A literal value.'),
    z.strictObject({
      days_ago: z.int().min(0).max(3650).describe('Whole days before the moment of the call.'),
      format: z
        .enum(['ymd', 'epoch'])
        .describe('`ymd`: the UTC date as YYYY-MM-DD. `epoch`: seconds since 1970.'),
    }),
  ])
  .describe('A literal, or a value that is derived from the clock.')

const defaultGroupFile = z
  .strictObject({
    set: z.record(z.string(), valueFile).describe('The parameters and the values that they get.'),
    unless_sent: z
      .array(z.string())
      .default([])
      .describe('Further members of the group: to send one of them also keeps the defaults away.'),
  })
  .describe('Applied as a whole, and only when the agent sent no member of the group.')

const ruleFile = z
  .strictObject({
    id: word.ruleId.describe('Stable for ever: grants, tokens and records name it.'),
    action: z
      .string()
      .min(1)
      .optional()
      .describe('The value of the action parameter that the rule is about, letter for letter.'),
    methods: z
      .array(word.method)
      .min(1)
      .optional()
      .describe("The agent's own methods. With `encoding: form` the default is GET and POST."),
    level: z.enum(scopes).describe('The least scope level that may make this call.'),
    summary: word.sentence.describe('What the call does.'),
    tags: z.array(word.name).default([]).describe('Free words, such as `webhook` or `may-cost`.'),
    consent: z
      .array(z.string())
      .default([])
      .describe("The provider's own scopes, any one of which the call needs."),
    defaults: z.array(defaultGroupFile).default([]).describe('What an agent may leave out.'),
    source: word.source,
  })
  .describe('One call, and the level that it needs.')

export const endpointFile = z
  .strictObject({
    name: word.sentence.describe('What a person would call it, such as `Get activity data`.'),
    path: word.path.describe(
      'The path below `/p/<provider>`. `{name}` captures one segment, `{name}:verb` one with that ' +
        'suffix, `**` at the end stands for everything below, and `{+name}` captures that.',
    ),
    escapes: z
      .record(z.string(), z.array(z.enum(escapes)).min(1))
      .default({})
      .describe(
        'By capture: escapes that may stand in it besides the common ones, where the provider ' +
          'reads them as a part of that very capture.',
      ),
    aliases: z.array(word.path).default([]).describe('Other paths that mean the same endpoint.'),
    upstream: word.path
      .optional()
      .describe('The path that is sent instead, where it differs. Rules match what is sent.'),
    host: word.name.default('api').describe('The name of the host in `hosts`.'),
    default_action: z
      .string()
      .min(1)
      .optional()
      .describe('The action when the agent names none; there is a rule for it.'),
    rules: z.array(ruleFile).min(1),
  })
  .describe('One path of the provider and the calls that can be made on it.')

type EndpointFile = z.output<typeof endpointFile>
type RuleFile = z.output<typeof ruleFile>

export type Rule = {
  readonly id: string
  /** The name of its endpoint. */
  readonly endpoint: string
  /** The template of the path as it is sent. */
  readonly path: string
  readonly captures: readonly string[]
  readonly action: string | null
  /** The agent's own methods. */
  readonly methods: readonly string[]
  readonly level: Scope
  readonly summary: string
  readonly tags: readonly string[]
  readonly consent: readonly string[]
  readonly source: string
}

export type DefaultValue = z.output<typeof valueFile>
export type DefaultGroup = {
  /** Lower case. Sending one of these keeps the whole group away. */
  readonly members: readonly string[]
  readonly set: readonly (readonly [name: string, value: DefaultValue])[]
}

export type Endpoint = {
  readonly name: string
  readonly path: string
  readonly aliases: readonly string[]
  /** What is sent instead of the agent's path; null to send that. */
  readonly upstream: string | null
  readonly origin: string
  readonly defaultAction: string | null
  /** What may stand escaped in each segment of a path; null where no capture was opted in. */
  readonly escapes: SegmentEscapes | null
  /** By action. */
  readonly defaults: ReadonlyMap<string, readonly DefaultGroup[]>
  readonly rules: readonly Rule[]
}

export type SegmentEscapes = {
  /** By segment, the one behind the first slash first. */
  readonly bySegment: readonly ReadonlySet<Escape>[]
  /** Of every segment behind those. */
  readonly below: ReadonlySet<Escape>
}

export type EndpointContext = {
  /** The origin of a named host, or a mistake. */
  readonly originOf: (host: string, where: string) => string
  readonly encoding: 'form' | 'none'
  readonly actionParameter: string | null
}

export function compileEndpoint(file: EndpointFile, context: EndpointContext): Endpoint {
  const where = `endpoint ${file.path}`
  const isTemplate = /[{*]/.test(file.path + file.aliases.join(''))
  if (file.upstream !== undefined && isTemplate) {
    mistake(where, 'a path with captures is sent as it came: it has no upstream')
  }
  if (file.aliases.length > 0 && file.upstream === undefined) {
    mistake(where, 'an endpoint with aliases says with upstream which path is sent')
  }
  const rules = file.rules.map((rule) => compileRule(rule, file, context))
  const defaultAction = file.default_action ?? null
  if (defaultAction !== null && !rules.some((rule) => rule.action === defaultAction)) {
    mistake(where, `no rule for its default_action ${defaultAction}`)
  }
  const defaults = new Map(file.rules.map((rule) => [rule.action ?? '', groupsOf(rule)]))
  const origin = context.originOf(file.host, `${where}, host`)
  const { name, path, aliases, upstream = null } = file
  return {
    ...{ name, path, aliases, upstream, origin, defaultAction, defaults, rules },
    escapes: compileEscapes(file),
  }
}

function compileEscapes({ path, escapes: byCapture }: EndpointFile): SegmentEscapes | null {
  const opted = Object.keys(byCapture)
  if (opted.length === 0) return null
  const segments = path.split('/').slice(1)
  const stray = opted.find((name) => !segments.some((segment) => isCapture(segment, name)))
  if (stray) mistake(`endpoint ${path}`, `no whole segment captures ${stray}, named in escapes`)
  const allowed = (segment: string): ReadonlySet<Escape> =>
    new Set(Object.entries(byCapture).find(([name]) => isCapture(segment, name))?.[1])
  const last = segments.at(-1) ?? ''
  return {
    bySegment: segments.map(allowed),
    below: last.startsWith('{+') ? allowed(last) : new Set(),
  }
}

const isCapture = (segment: string, name: string): boolean =>
  segment === `{${name}}` || segment === `{+${name}}`

function compileRule(file: RuleFile, endpoint: EndpointFile, context: EndpointContext): Rule {
  const where = `rule ${file.id}`
  if ((file.action !== undefined) !== (context.actionParameter !== null)) {
    mistake(where, 'a rule has an action exactly when parameters.action names one')
  }
  if (context.encoding === 'none' && file.methods === undefined) {
    mistake(where, 'without encoding: form the method decides, so the rule must name its methods')
  }
  if (context.encoding === 'none' && file.defaults.length > 0) {
    mistake(where, 'defaults need encoding: form')
  }
  const path = endpoint.upstream ?? endpoint.path
  const { id, action = null, methods = ['GET', 'POST'] } = file
  const { level, summary, tags, consent, source } = file
  return {
    ...{ id, endpoint: endpoint.name, path, captures: captureNames(path), action, methods },
    ...{ level, summary, tags, consent, source },
  }
}

const groupsOf = (rule: RuleFile): DefaultGroup[] =>
  rule.defaults.map(({ set, unless_sent }) => ({
    members: [...Object.keys(set), ...unless_sent].map((name) => name.toLowerCase()),
    set: Object.entries(set),
  }))

import { type Command, InvalidArgumentError } from 'commander'
import { isScope, type Scope, scopes } from '../../words.ts'
import type { Grant } from '../gateway/admin-api.ts'
import { Failure } from './failure.ts'

/** A grant as the admin API takes it. */
export type GrantRequest = {
  readonly provider: string
  readonly scope: Scope
  readonly connection?: string
  readonly owner?: string
  readonly only?: readonly string[]
  readonly except?: readonly string[]
  readonly constraints?: Readonly<Record<string, string>>
}

/** `withings:read` or `trello:write@work`: provider, scope level and, behind `@`, a connection. */
export function parseGrant(text: string): GrantRequest {
  const [, provider = '', scope, connection] = /^([^:@]+):([a-z]+)(?:@(.+))?$/.exec(text) ?? []
  if (!isScope(scope)) {
    const levels = scopes.join(', ')
    throw new InvalidArgumentError(
      `A grant is PROVIDER:SCOPE or PROVIDER:SCOPE@CONNECTION, as in withings:read; scopes are ${levels}.`,
    )
  }
  return { provider, scope, ...(connection !== undefined && { connection }) }
}

export const collectGrants = (
  text: string,
  before: readonly GrantRequest[] = [],
): readonly GrantRequest[] => [...before, parseGrant(text)]

/** Comma-separated names; the option may be repeated. */
export const collectNames = (text: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  ...text.split(',').flatMap((name) => name.trim() || []),
]

/** `key=value`; the option may be repeated. */
export function collectConstraints(
  text: string,
  before: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const [, key, value] = /^([^=]+)=(.+)$/.exec(text) ?? []
  if (key === undefined || value === undefined) {
    throw new InvalidArgumentError('A constraint is NAME=VALUE, as in repo=okoro.')
  }
  return { ...before, [key]: value }
}

/** What narrows a grant, as options give it. */
export type Narrowing = {
  readonly only?: readonly string[]
  readonly except?: readonly string[]
  readonly where?: Readonly<Record<string, string>>
  readonly owner?: string
}

export function narrowed(
  grant: GrantRequest,
  { only, except, where, owner }: Narrowing,
): GrantRequest {
  return {
    ...grant,
    ...(only && { only }),
    ...(except && { except }),
    ...(where && { constraints: where }),
    ...(owner !== undefined && { owner }),
  }
}

/** A grant in the words that a person would type it in. */
export function grantText(grant: {
  readonly provider: string
  readonly scope: string
  readonly connection: string | null
  readonly owner: string | null
}): string {
  const { provider, scope, connection, owner } = grant
  const place = connection ?? (owner === null ? null : `owner ${owner}`)
  return place === null ? `${provider}:${scope}` : `${provider}:${scope}@${place}`
}

/** The options that narrow a grant. */
export const narrowing = (command: Command): Command =>
  command
    .option('--only <rules>', 'Only these rule ids, comma-separated', collectNames)
    .option('--except <rules>', 'Not these rule ids, comma-separated', collectNames)
    .option('--where <name=value>', 'Only where a rule captures this value', collectConstraints)
    .option('--owner <ref>', 'The connection of this owner, whichever that is')

/** Which of several grants is to be narrowed could only be guessed. */
export function grantsOf({
  grant: grants,
  ...narrowing
}: Narrowing & { readonly grant: readonly GrantRequest[] }): readonly GrantRequest[] {
  const isNarrowed = ['only', 'except', 'where', 'owner'].some((name) => name in narrowing)
  const [only, ...more] = grants
  if (!isNarrowed) return grants
  if (only && more.length === 0) return [narrowed(only, narrowing)]
  throw new Failure(
    'usage',
    '--only, --except, --where and --owner narrow one --grant: name one --grant only. ' +
      '`okoro agents grant` gives an agent more of them.',
  )
}

/** What a grant allows, in words: `read withings (default), except heart.get`. */
export function describeGrant(grant: Grant): string {
  const { provider, scope, connection, owner, only, except, constraints } = grant
  const whose = owner === null ? 'the first connection that is made' : `of owner ${owner}`
  const where = Object.entries(constraints).map(([name, value]) => `where ${name}=${value}`)
  return [
    `${scope} ${provider} (${connection ?? whose})`,
    ...(only === null ? [] : [`only ${only.join(', ')}`]),
    ...(except.length === 0 ? [] : [`except ${except.join(', ')}`]),
    ...where,
  ].join(', ')
}

import { type Refusal, refuse } from '../errors.ts'
import type { ConnectionView, Reach } from '../store/grant.ts'
import { type Grant, type Scope, scopeCovers } from '../words.ts'

/** A grant and the connection that a token is for. */
export type Chosen = { readonly grant: Grant; readonly connection: ConnectionView }

export type Choice = {
  readonly provider: string
  readonly scope: Scope
  readonly intent: string
  /** Id or label; undefined when the agent named none. */
  readonly connection?: string | undefined
  /** Whether the provider is a sandbox now: only connections made under it count then. */
  readonly sandbox: boolean
  /** A page for people about connecting this provider. */
  readonly page: string
}

/**
 * Which grant and connection a token is for. Never guesses between accounts: with several and
 * none named it is `connection_required`, even when only one of them would do. Refusals:
 * `provider_not_granted`, `not_connected`, `connection_required`, `insufficient_scope`,
 * `needs_reconnect`.
 */
export function chooseConnection(reach: readonly Reach[], choice: Choice): Chosen | Refusal {
  if (reach.length === 0) return notGranted(choice.provider)
  const usable = reach.filter(isChosen).filter(({ connection }) => isUsable(connection, choice))
  const named = findNamed(usable, choice.connection)
  const best = widest(named)
  if (best === undefined) return notConnected(choice, usable)
  if (named.some(({ connection }) => connection.id !== best.connection.id)) {
    return connectionRequired(choice, named)
  }
  if (!scopeCovers(best.grant.scope, choice.scope)) return insufficientScope(choice, best)
  return best.connection.status === 'needs_reconnect' ? needsReconnect(best.connection) : best
}

/** The grant with the highest scope, and of those the oldest: `reach` comes oldest first. */
export function widest(reach: readonly Chosen[]): Chosen | undefined {
  return reach.reduce<Chosen | undefined>(
    (best, next) => (best && scopeCovers(best.grant.scope, next.grant.scope) ? best : next),
    undefined,
  )
}

export const isChosen = (reach: Reach): reach is Chosen => reach.connection !== null

const isUsable = ({ status, sandbox }: ConnectionView, choice: Choice) =>
  status !== 'removed' && sandbox === choice.sandbox

/** An id wins over a label that reads the same. */
function findNamed(usable: readonly Chosen[], name: string | undefined): readonly Chosen[] {
  if (name === undefined) return usable
  const byId = usable.filter(({ connection }) => connection.id === name)
  return byId.length > 0 ? byId : usable.filter(({ connection }) => connection.label === name)
}

export const notGranted = (provider: string): Refusal =>
  refuse(
    'provider_not_granted',
    `This agent has no grant for this connection of ${provider}. ` +
      'An operator gives one: `okoro agents grant`.',
  )

function notConnected({ provider, page }: Choice, usable: readonly Chosen[]): Refusal {
  if (usable.length > 0) {
    return refuse(
      'not_connected',
      `No connection of ${provider} that this agent may use has that id or label; see \`connections\`.`,
      { page, connections: labelsOf(usable) },
    )
  }
  return refuse(
    'not_connected',
    `No account of ${provider} is connected for this agent. An operator connects one: ` +
      `\`okoro connections add ${provider}\`; see \`page\`.`,
    { page },
  )
}

const connectionRequired = ({ provider }: Choice, named: readonly Chosen[]): Refusal =>
  refuse(
    'connection_required',
    `This agent may use several connections of ${provider}: name one of \`connections\` ` +
      'as `connection`.',
    { connections: labelsOf(named) },
  )

function insufficientScope(choice: Choice, { grant, connection }: Chosen): Refusal {
  const { provider, scope, intent } = choice
  return refuse(
    'insufficient_scope',
    `The grant for ${provider} goes up to ${grant.scope}; ${scope} is above it. ` +
      'Ask for less, or an operator for more.',
    {
      required_scope: scope,
      granted_scope: grant.scope,
      token_request: { provider, scope: grant.scope, intent, connection: connection.id },
    },
  )
}

export function needsReconnect({ provider, label, reason }: ConnectionView): Refusal {
  return refuse(
    'needs_reconnect',
    `The connection ${label} must be made anew${reason === null ? '' : `: ${reason}`}. ` +
      `An operator does that: \`okoro connections add ${provider} --label ${label}\`.`,
    { connection: label, reason },
  )
}

const labelsOf = (some: readonly Chosen[]) => [
  ...new Set(some.map(({ connection }) => connection.label)),
]

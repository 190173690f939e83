import type { Provider } from '../catalog/provider.ts'
import { type Refusal, refuse } from '../errors.ts'
import {
  type AllowedRequest,
  type ComposedRequest,
  type Grant,
  type Operation,
  type Scope,
  scopeCovers,
} from '../words.ts'
import { matchRule, type RuleMatch } from './rules.ts'

export type Denial = {
  readonly kind: 'deny'
  readonly refusal: Refusal
  /** The rule that the call fell under; null when no rule names it. */
  readonly rule: string | null
}

export type DecisionContext = {
  readonly operation: Operation
  readonly grant: Grant
  readonly provider: Provider
}

export const isDenied = (decided: AllowedRequest | Denial): decided is Denial => 'kind' in decided

/**
 * Judges the request as it will be sent, and is the only maker of an AllowedRequest. What no rule
 * names needs `all`, or is refused where the provider file says so. The grant speaks first: what
 * it leaves out is `outside_grant`, which no operation token can help. Then the level is compared
 * with the grant and with the token, and the rule with the actions that the token was narrowed to.
 */
export function decide(
  composed: ComposedRequest,
  context: DecisionContext,
): AllowedRequest | Denial {
  const match = matchRule(composed, context.provider)
  const rule = match?.rule.id ?? null
  const level = match?.rule.level ?? 'all'
  const refusal =
    refuseUnknown(match, composed, context) ??
    refuseOutsideGrant(match, context.grant) ??
    refuseLevel({ rule, level, composed, context }) ??
    refuseOtherAction({ rule, level, composed, context })
  if (refusal) return { kind: 'deny', refusal, rule }
  return { composed, decision: { kind: 'allow', rule, level } } as AllowedRequest
}

function refuseUnknown(
  match: RuleMatch | null,
  composed: ComposedRequest,
  { provider }: DecisionContext,
): Refusal | null {
  if (match || provider.unknownPaths !== 'refuse') return null
  const message = `${nameOf(composed)} is no call that ${provider.title} has rules for, and such calls are refused here. The provider's endpoints are listed in its documentation.`
  return refuse('forbidden_target', message, { docs: provider.docs })
}

function refuseOutsideGrant(match: RuleMatch | null, grant: Grant): Refusal | null {
  const rule = match?.rule.id ?? null
  const named = rule ?? 'a call that no rule names'
  if (rule !== null && grant.except.includes(rule)) {
    return outsideGrant(rule, `The grant leaves out ${rule}.`)
  }
  if (grant.only !== null && (rule === null || !grant.only.includes(rule))) {
    return outsideGrant(rule, `The grant is for ${grant.only.join(', ')} only, not for ${named}.`)
  }
  for (const [key, bound] of Object.entries(grant.constraints)) {
    const value = capturedValue(match, key)
    if (value === null) {
      return outsideGrant(rule, `The grant binds ${key}, which ${named} does not have.`)
    }
    if (value !== bound) {
      return outsideGrant(rule, `The grant is for another ${key} than the one in this call.`)
    }
  }
  return null
}

/** The decoded value of a named capture; null when the call has no such capture. */
function capturedValue(match: RuleMatch | null, name: string): string | null {
  const at = match?.rule.captures.indexOf(name) ?? -1
  const raw = match?.captures[at]
  return raw === undefined ? null : decodeURIComponent(raw)
}

const outsideGrant = (rule: string | null, what: string): Refusal =>
  refuse('outside_grant', `${what} No operation token changes that: ask the operator.`, { rule })

type Judged = {
  readonly rule: string | null
  readonly level: Scope
  readonly composed: ComposedRequest
  readonly context: DecisionContext
}

function refuseLevel(judged: Judged): Refusal | null {
  const { operation, grant } = judged.context
  const { level } = judged
  if (!scopeCovers(grant.scope, level)) {
    const advice = `your grant ends at ${grant.scope}. Only the operator can widen it, to ${operation.provider}:${level}.`
    return insufficient(judged, advice, false)
  }
  if (!scopeCovers(operation.scope, level)) {
    const advice = `your operation token holds ${operation.scope}. Exchange your service token for one with this scope: token_request is the body to send to POST /t/tokens.`
    return insufficient(judged, advice, true)
  }
  return null
}

function refuseOtherAction(judged: Judged): Refusal | null {
  const { actions } = judged.context.operation
  if (actions === null || (judged.rule !== null && actions.includes(judged.rule))) return null
  const advice = `your operation token was narrowed to ${actions.join(', ')}. Exchange your service token for another one: token_request is the body to send to POST /t/tokens.`
  return insufficient(judged, advice, true)
}

function insufficient(judged: Judged, advice: string, mayExchange: boolean): Refusal {
  const { rule, level, composed, context } = judged
  const { operation, provider } = context
  const what =
    rule === null
      ? `${nameOf(composed)} is no call that ${provider.title} has a rule for, so it needs the scope ${level}`
      : `${rule} needs the scope ${level}`
  return refuse('insufficient_scope', `${what}; ${advice}`, {
    required_scope: level,
    granted_scope: operation.scope,
    rule,
    docs: provider.rules.find(({ id }) => id === rule)?.source ?? provider.docs,
    ...(mayExchange && { token_request: tokenRequest(level, operation) }),
  })
}

const tokenRequest = (scope: Scope, { provider, intent, connectionId }: Operation) => ({
  ...{ provider, scope, intent, connection: connectionId },
})

const nameOf = ({ agentMethod, path, action }: ComposedRequest): string =>
  `${agentMethod} ${path}${action === null ? '' : ` with the action ${JSON.stringify(action.slice(0, 60))}`}`

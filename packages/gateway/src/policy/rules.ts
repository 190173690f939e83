import type { Rule } from '../catalog/endpoint.ts'
import { callKey, type Provider } from '../catalog/provider.ts'
import type { ComposedRequest } from '../words.ts'

export type RuleMatch = {
  readonly rule: Rule
  /** Captured segments as sent, in the order of `rule.captures`. */
  readonly captures: readonly string[]
}

/** The one rule about this call: its path as sent, the agent's own method, and its action. */
export function matchRule(composed: ComposedRequest, provider: Provider): RuleMatch | null {
  const found = provider.rulesByPath.match(composed.path)
  const rule = found?.value.get(callKey(composed.agentMethod, composed.action))
  return found && rule ? { rule, captures: found.captures } : null
}

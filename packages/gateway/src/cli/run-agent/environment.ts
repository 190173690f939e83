import type { Env } from '../../config/settings.ts'

/**
 * The environment of a command that runs as an agent: ours, less every `OKORO_…` variable. Those are
 * the operator's (admin token, root key, database); the child gets the two that an agent needs.
 */
export function agentEnvironment(
  env: Env,
  agent: { readonly url: string; readonly serviceToken: string },
): Readonly<Record<string, string>> {
  const kept = Object.entries(env).flatMap(([name, value]) =>
    value === undefined || /^okoro_/i.test(name) ? [] : [[name, value] as const],
  )
  return {
    ...Object.fromEntries(kept),
    OKORO_URL: agent.url,
    OKORO_SERVICE_TOKEN: agent.serviceToken,
  }
}

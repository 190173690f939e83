import type { Probe } from '../catalog/auth/probe.ts'
import type { Provider } from '../catalog/provider.ts'
import { Malfunction } from '../errors.ts'
import { type Credential, slotsOf } from '../inject/inject.ts'
import { Secret } from '../secret.ts'
import type { ConnectionsContext } from './context.ts'
import { accountAt, at, printable } from './dialect.ts'
import { scrub } from './oauth2.ts'

/** What the provider says of a credential. */
export type Probed =
  | { readonly kind: 'accepted'; readonly account: string; readonly accountName: string | null }
  /** It is not valid. */
  | { readonly kind: 'refused'; readonly text: string }
  /** It may be: the provider was not reached, is busy, or said something else. */
  | { readonly kind: 'unknown'; readonly text: string }

/**
 * Makes the call that the provider file names for this (`auth.probe`), once. Never throws for what
 * the provider or the network did. `text` is for the operator, without the secret in it.
 */
export async function probeCredential(
  { fetch }: Pick<ConnectionsContext, 'fetch'>,
  { provider, probe }: { readonly provider: Provider; readonly probe: Probe },
  credential: Secret<Credential>,
): Promise<Probed> {
  const { origin } = new URL(probe.url)
  const slots = slotsOf(provider, credential, origin)
  const headers = Object.fromEntries([...provider.defaultHeaders, ...slots])
  try {
    const response = await fetch(probe.url, { method: 'GET', headers })
    const probed = judge(probe, response.status, parse(await response.text()))
    return probed.kind === 'accepted'
      ? probed
      : { ...probed, text: scrub(probed.text, secretsIn(credential)) }
  } catch (error) {
    if (!(error instanceof Malfunction)) throw error
    return { kind: 'unknown', text: error.message.replace(/\.$/, '') }
  }
}

function judge(probe: Probe, status: number, json: unknown): Probed {
  const said = at(json, probe.message)
  const text = printable(`HTTP ${status} ${typeof said === 'string' ? said : ''}`.trim())
  if (probe.refused.includes(status)) return { kind: 'refused', text }
  if (status !== 200) return { kind: 'unknown', text }
  const account = accountAt(json, probe.account)
  if (account === null) return { kind: 'unknown', text: `${text}, which names no account` }
  const name = accountAt(json, probe.accountName)
  return { kind: 'accepted', account, accountName: name && printable(name) }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const secretsIn = (credential: Secret<Credential>): Secret<string>[] =>
  Object.values(credential.reveal().secrets).map((secret) => new Secret(secret))

import type { ApiKey } from '../catalog/auth/api-key.ts'
import type { Provider } from '../catalog/provider.ts'
import { isRefusal, type Refusal, refuse } from '../errors.ts'
import { Secret } from '../secret.ts'
import { isSandboxed } from './connection.ts'
import type { ConnectionsContext } from './context.ts'
import { type ConnectFailure, fail } from './failure.ts'
import { type Connected, keepConnection, type Obtained } from './keep.ts'
import { type ConnectionPlan, type ConnectionRequest, planConnection } from './plan.ts'
import { type Probed, probeCredential } from './probe.ts'

export type PasteRequest = ConnectionRequest & { readonly credential: Secret<string> }

/**
 * Connects an account by a credential that was made at the provider: tries it there, once, takes
 * the account from the answer and keeps it sealed with its hosts. What the provider refuses
 * connects nothing, and the refusal is recorded (`connection.failed`).
 */
export async function connectPasted(
  context: ConnectionsContext,
  { credential, ...request }: PasteRequest,
): Promise<Connected | Refusal> {
  const plan = await planConnection(context, request)
  if (isRefusal(plan)) return plan
  const { auth } = plan.provider
  if (auth.scheme !== 'api_key') return isConnectedByConsent(plan.provider)
  const fault = findFault(credential, auth)
  if (fault !== null) return refuse('invalid_request', `credential: ${fault}`)
  const secrets = new Secret({ [auth.inject.secret]: credential.reveal() })
  const obtained = await obtain(context, { provider: plan.provider, auth, secrets })
  const result = isRefusal(obtained)
    ? obtained
    : await keepConnection(context, {
        place: {
          ...{ provider: plan.provider, connectionId: plan.existing?.id ?? null },
          ...{ label: plan.label, owner: plan.owner, applicationId: null },
          mayChangeAccount: request.confirmAccountChange ?? false,
        },
        obtained,
        aside: { statements: () => [], record: {} },
      })
  if (isRefusal(result)) await recordFailure(context, plan, result)
  return result
}

/** What can be told of a secret without trying it: it has to fit into a header (RFC 9110, 5.5). */
function findFault(credential: Secret<string>, { title }: ApiKey): string | null {
  if (/^[\x21-\x7e]+$/.test(credential.reveal())) return null
  return `a ${title} has no blanks, line breaks or letters beyond ASCII. Paste it alone.`
}

const isConnectedByConsent = ({ name, title }: Provider): Refusal =>
  refuse(
    'invalid_request',
    `${title} is connected on its own consent page, not by pasting: okoro connections add ${name}`,
  )

type Pasted = {
  readonly provider: Provider
  readonly auth: ApiKey
  readonly secrets: Obtained['secrets']
}

async function obtain(
  context: ConnectionsContext,
  { provider, auth, secrets }: Pasted,
): Promise<Obtained | ConnectFailure> {
  const obtainedAt = context.clock()
  const hosts = provider.credentialHosts
  const credential = new Secret({ hosts, secrets: secrets.reveal() })
  const probed = await probeCredential(context, { provider, probe: auth.probe }, credential)
  if (probed.kind !== 'accepted') return failureOf(provider, auth, probed)
  const { account, accountName } = probed
  return { secrets, account, accountName, grantedScopes: '', expiresAt: null, obtainedAt }
}

function failureOf(
  { title }: Provider,
  auth: ApiKey,
  { kind, text }: Exclude<Probed, { kind: 'accepted' }>,
): ConnectFailure {
  if (kind === 'unknown') return fail('credential_untried', `${title}: ${text}.`)
  return fail('credential_refused', `${title} said: ${text}. Make a ${auth.title} at ${auth.page}.`)
}

async function recordFailure(
  { store }: ConnectionsContext,
  { provider, existing, label, owner }: ConnectionPlan,
  { members }: ConnectFailure,
): Promise<void> {
  await store.write({
    records: [
      store.draft({
        ...{ kind: 'connection.failed', flow: null, provider: provider.name, application: null },
        ...{ connection: existing?.id ?? null, sandbox: isSandboxed(provider) },
        ...{ connection_label: label, owner, reason: members.reason },
        error_text: members.detail,
      }),
    ],
  })
}

import type { Inject } from '../catalog/auth/inject.ts'
import type { Provider } from '../catalog/provider.ts'
import { Malfunction } from '../errors.ts'
import type { Secret } from '../secret.ts'
import type { AuditedRequest, AuthorizedRequest } from '../words.ts'
import { bearer } from './bearer.ts'

/** What a connection's sealed credential says, once opened. */
export type Credential = {
  /** The origins that it may be sent to, sealed together with it. */
  readonly hosts: readonly string[]
  /** By the name that the provider file uses, such as `access_token`. */
  readonly secrets: Readonly<Record<string, string>>
}

type Scheme = (secret: string) => readonly (readonly [name: string, value: string])[]

/** The closed table: one file and one line per way of putting a credential into a request. */
const schemes: { readonly [name in Inject['scheme']]: Scheme } = { bearer }

/**
 * Puts the credential into the slots that the provider file declares and nothing else: the only
 * maker of an AuthorizedRequest. Throws a Malfunction, without the secret in it, when the request
 * goes to an origin that was not sealed with the credential, or when a slot is already taken.
 */
export function inject(
  audited: AuditedRequest,
  credential: Secret<Credential>,
  provider: Provider,
): AuthorizedRequest {
  const { composed, requestId, attemptNo } = audited
  const slots = slotsOf(provider, credential, composed.origin)
  const taken = slots.find(([slot]) => composed.headers.some(([name]) => name === slot))
  if (taken) throw new Malfunction('internal_error', `the ${taken[0]} header is already there`)
  const headers: AuthorizedRequest['headers'] = [...composed.headers, ...slots]
  const { query } = composed
  return { composed, query, headers, requestId, attemptNo } as AuthorizedRequest
}

/**
 * The headers that carry a credential to `origin`; throws a Malfunction, without the secret in it,
 * when that was not sealed with the credential.
 */
export function slotsOf(
  provider: Provider,
  credential: Secret<Credential>,
  origin: string,
): ReturnType<Scheme> {
  const { hosts, secrets } = credential.reveal()
  if (!hosts.includes(origin)) {
    throw new Malfunction('internal_error', `the credential may not be sent to ${origin}`)
  }
  const { scheme, secret } = provider.auth.inject
  return schemes[scheme](own(secrets, secret))
}

function own(secrets: Readonly<Record<string, string>>, name: string): string {
  const secret = Object.hasOwn(secrets, name) ? secrets[name] : undefined
  if (secret === undefined) {
    throw new Malfunction('internal_error', `the credential has no ${name}`)
  }
  return secret
}

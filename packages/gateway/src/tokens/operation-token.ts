import { type Refusal, refuse } from '../errors.ts'
import type { Store } from '../store/store.ts'
import type { Clock, Operation } from '../words.ts'
import { expired, invalidToken, readOperation, type TokenRefusal } from './jwt.ts'
import { type Authority, readAuthority, serviceTokenExpired, stillStands } from './policy-epoch.ts'
import type { SigningKeys } from './signing-keys.ts'

export type { ConnectionView } from '../store/grant.ts'
export type { TokenRefusal } from './jwt.ts'

/** A call's permission as far as its token goes: what it says, and what stands behind it. */
export type Verified = Authority & { readonly operation: Operation }

export type Verifier = {
  /**
   * Judges the operation token of a call to `provider`. The answer is at hand, without a promise,
   * when the token was seen before under the same policy: no signature check, no database.
   * Refusals: `invalid_token` (says which), `provider_mismatch`, `provider_not_granted`,
   * `not_connected`, `needs_reconnect`.
   */
  verify(token: string, provider: string): Judged | Promise<Judged>
  /** Of a token that has run out: whether what stood behind it still does. Reads the database. */
  stillStands(operation: Operation): Promise<boolean>
  /** Drops a token from memory. */
  forget(token: string): void
}

export type Judged = Verified | TokenRefusal

type Parts = {
  readonly store: Store
  readonly keys: SigningKeys
  readonly publicUrl: string
  readonly clock: Clock
  /** How many tokens are remembered; the one that came first goes first. */
  readonly capacity?: number
}

type Known = { readonly token: string; readonly verified: Verified }

export function createVerifier(parts: Parts): Verifier {
  const { store, clock, capacity = 10_000 } = parts
  const knownBySignature = new Map<string, Known>()

  const forget = (token: string) => void knownBySignature.delete(signatureOf(token))

  const remember = (token: string, verified: Verified) => {
    forget(token)
    if (knownBySignature.size >= capacity) {
      const [oldest] = knownBySignature.keys()
      if (oldest !== undefined) knownBySignature.delete(oldest)
    }
    knownBySignature.set(signatureOf(token), { token, verified })
  }

  const authorize = async (token: string, operation: Operation): Promise<Judged> => {
    const authority = await readAuthority({ store, nowMs: clock() }, operation)
    if ('kind' in authority) {
      forget(token)
      return authority
    }
    const verified = { operation, ...authority }
    remember(token, verified)
    return verified
  }

  const verifyNew = async (token: string, provider: string): Promise<Judged> => {
    const operation = await readOperation(token, parts)
    if ('kind' in operation) return operation
    return findEnded({ operation }, provider, clock()) ?? authorize(token, operation)
  }

  return {
    verify: (token, provider) => {
      if (token === '') return invalidToken('is missing')
      const known = knownBySignature.get(signatureOf(token))
      // The same signature under other claims is no token that was ever checked.
      if (known?.token !== token) return verifyNew(token, provider)
      const { verified } = known
      const ended = findEnded(verified, provider, clock())
      if (ended !== null) return ended
      if (verified.policyEpoch < store.policyEpoch()) return authorize(token, verified.operation)
      return verified
    },
    stillStands: (operation) => stillStands(store, operation),
    forget,
  }
}

const signatureOf = (token: string) => token.slice(token.lastIndexOf('.') + 1)

/** What ends or excludes a token with no change in the database. */
function findEnded(
  {
    operation,
    serviceTokenExpiresAt = null,
  }: { readonly operation: Operation; readonly serviceTokenExpiresAt?: number | null },
  provider: string,
  nowMs: number,
): TokenRefusal | null {
  if (operation.expiresAt * 1_000 <= nowMs) return expired(operation)
  if (serviceTokenExpiresAt !== null && serviceTokenExpiresAt <= nowMs) {
    return invalidToken(serviceTokenExpired, operation)
  }
  return operation.provider === provider ? null : { ...mismatch(operation, provider), operation }
}

function mismatch({ provider, scope, intent }: Operation, called: string): Refusal {
  return refuse(
    'provider_mismatch',
    `This operation token is for ${provider}; get one for ${called} from POST /t/tokens.`,
    { token_request: { provider: called, scope, intent } },
  )
}

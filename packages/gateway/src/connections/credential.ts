import { Malfunction } from '../errors.ts'
import type { Credential } from '../inject/inject.ts'
import { Secret } from '../secret.ts'
import type { ConnectionRow } from '../store/schema.ts'
import type { ConnectionsContext } from './context.ts'
import type { Tokens } from './oauth2.ts'

/** A connection's credential as it is kept: what may be sent where, and since when it lives. */
export type KeptCredential = {
  readonly credential: Secret<Credential>
  /** Milliseconds since the Unix epoch. */
  readonly obtainedAt: number
  readonly refreshToken: Secret<string> | null
}

export type NewCredential = {
  readonly hosts: readonly string[]
  readonly tokens: Tokens
  /** Kept when the answer brought no new one (RFC 6749, section 6). */
  readonly oldRefreshToken: Secret<string> | null
  readonly obtainedAt: number
}

type Vault = ConnectionsContext['vault']

/** Seals tokens together with the origins that they may be sent to, for this connection alone. */
export const sealCredential = (
  vault: Vault,
  connectionId: string,
  { hosts, tokens, oldRefreshToken, obtainedAt }: NewCredential,
): Promise<string> =>
  sealSecrets(vault, connectionId, {
    ...{ hosts, secrets: secretsOf(tokens, oldRefreshToken), obtainedAt },
  })

/** Tokens by the names that provider files use; the old refresh token where they bring no new one. */
export function secretsOf(tokens: Tokens, oldRefreshToken: Secret<string> | null) {
  const refreshToken = tokens.refreshToken ?? oldRefreshToken
  return {
    access_token: tokens.accessToken.reveal(),
    ...(refreshToken && { refresh_token: refreshToken.reveal() }),
  }
}

/** Seals secrets together with the origins that they may be sent to, for this connection alone. */
export function sealSecrets(
  vault: Vault,
  connectionId: string,
  { hosts, secrets, obtainedAt }: Credential & { readonly obtainedAt: number },
): Promise<string> {
  const text = JSON.stringify({ hosts, secrets, obtained_at: obtainedAt })
  return vault.seal(placeOf(connectionId), new Secret(text))
}

/** Throws Malfunction when the row holds no credential or was tampered with. */
export async function openCredential(vault: Vault, row: ConnectionRow): Promise<KeptCredential> {
  if (row.sealed_credential === null) {
    throw new Malfunction('internal_error', `Connection ${row.id} holds no credential.`)
  }
  const text = await vault.open(placeOf(row.id), row.sealed_credential)
  const { hosts, secrets, obtained_at } = JSON.parse(text.reveal())
  const refreshToken = secrets.refresh_token
  return {
    credential: new Secret({ hosts, secrets }),
    obtainedAt: obtained_at,
    refreshToken: typeof refreshToken === 'string' ? new Secret(refreshToken) : null,
  }
}

/** When tokens obtained at `obtainedAt` expire; null when they do not. */
export const expiryOf = (tokens: Tokens, obtainedAt: number): number | null =>
  tokens.expiresInSeconds === null ? null : obtainedAt + tokens.expiresInSeconds * 1000

const placeOf = (row: string) => ({ table: 'connection', row, column: 'sealed_credential' })

import { errors, jwtVerify, SignJWT } from 'jose'
import { z } from 'zod'
import { type Refusal, refuse } from '../errors.ts'
import { decodeBase64url } from '../vault/base64url.ts'
import { type Clock, type Operation, scopes } from '../words.ts'
import { serviceTokenPrefix } from './service-token.ts'
import type { SigningKey, SigningKeys } from './signing-keys.ts'

/** A refusal of an operation token, and whose it is, once its signature has shown that. */
export type TokenRefusal = Refusal & { readonly operation: Operation | null }

const header = { alg: 'EdDSA', typ: 'at+jwt' } as const
/** Of an Ed25519 signature: 64 bytes in base64url. */
const signatureLength = 86

const claims = z.object({
  aud: z.string(),
  sub: z.string(),
  client_id: z.string(),
  jti: z.string(),
  exp: z.int(),
  provider: z.string(),
  connection: z.string(),
  gen: z.int(),
  scope: z.enum(scopes),
  intent: z.string(),
  actions: z.array(z.string()).optional(),
})

export const audienceOf = (publicUrl: string, provider: string) => `${publicUrl}/p/${provider}`

/** Signs an operation token: a JWT access token (RFC 9068) with the claims of CONTRACT.md. */
export function signOperation(
  operation: Operation,
  {
    key,
    publicUrl,
    issuedAt,
  }: {
    readonly key: SigningKey
    readonly publicUrl: string
    /** Seconds since the Unix epoch. */
    readonly issuedAt: number
  },
): Promise<string> {
  const { provider, scope, intent, jti } = operation
  return new SignJWT({
    client_id: operation.serviceTokenId,
    ...{ provider, connection: operation.connectionId, gen: operation.generation, scope, intent },
    ...(operation.actions && { actions: operation.actions }),
  })
    .setProtectedHeader({ ...header, kid: key.kid })
    .setIssuer(publicUrl)
    .setAudience(audienceOf(publicUrl, provider))
    .setSubject(operation.agentId)
    .setJti(jti)
    .setIssuedAt(issuedAt)
    .setExpirationTime(operation.expiresAt)
    .sign(key.privateKey)
}

/**
 * What an operation token says, once form, signature, issuer, audience and expiry have been
 * checked in this order. Knows nothing of revocation.
 */
export async function readOperation(
  token: string,
  parts: { readonly keys: SigningKeys; readonly publicUrl: string; readonly clock: Clock },
): Promise<Operation | TokenRefusal> {
  const malformed = findMalformed(token)
  if (malformed !== null) return invalidToken(malformed)
  const { keys, publicUrl, clock } = parts
  const findKey = async ({ kid = '' }: { readonly kid?: string }) => {
    const key = await keys.find(kid)
    if (key === null) throw new errors.JWKSNoMatchingKey()
    return key
  }
  try {
    const { payload } = await jwtVerify(token, findKey, {
      algorithms: [header.alg],
      typ: header.typ,
      issuer: publicUrl,
      currentDate: new Date(clock()),
    })
    return operationOf(payload, publicUrl) ?? invalidToken(foreign)
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error
    if (error instanceof errors.JWTExpired) return expired(operationOf(error.payload, publicUrl))
    return invalidToken(reasons[error.code] ?? notOurs)
  }
}

/** `invalid_token`, with what is wrong and what to do. */
export function invalidToken(what: string, operation: Operation | null = null): TokenRefusal {
  const message = `The operation token ${what}. Get a new one from POST /t/tokens.`
  return { ...refuse('invalid_token', message), operation }
}

export const expired = (operation: Operation | null): TokenRefusal =>
  invalidToken('has expired', operation)

const foreign = 'was issued for another use, or by a gateway with another public URL'
const notOurs = 'is none of this gateway'
const reasons: Readonly<Record<string, string>> = {
  [errors.JWSSignatureVerificationFailed.code]: 'has a wrong signature: it was changed on its way',
  [errors.JWKSNoMatchingKey.code]: 'is signed with a key that this gateway does not have',
  [errors.JWTClaimValidationFailed.code]: foreign,
}

/**
 * Why a text is no compact JWS (RFC 7515) in its one canonical spelling; null when it is. Libraries
 * accept sloppy base64url: one token would have many names, and revoking or caching one of them
 * would miss the others.
 */
function findMalformed(token: string): string | null {
  if (token.startsWith(serviceTokenPrefix)) {
    return 'is a service token: trade it for an operation token first'
  }
  const parts = token.split('.')
  const [, , signature = ''] = parts
  if (parts.length > 3 || !/^[A-Za-z0-9_.-]*$/.test(token)) return 'is malformed: it is no JWT'
  if (signature.length < signatureLength) return 'is truncated: its end is missing'
  if (parts.some((part) => !decodeBase64url(part)?.length)) {
    return 'is malformed: it is no canonical base64url'
  }
  return null
}

function operationOf(payload: unknown, publicUrl: string): Operation | null {
  const { success, data } = claims.safeParse(payload)
  if (!success || data.aud !== audienceOf(publicUrl, data.provider)) return null
  return {
    agentId: data.sub,
    serviceTokenId: data.client_id,
    provider: data.provider,
    connectionId: data.connection,
    generation: data.gen,
    scope: data.scope,
    intent: data.intent,
    actions: data.actions ?? null,
    jti: data.jti,
    expiresAt: data.exp,
  }
}

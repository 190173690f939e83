import { type Refusal, refuse } from '../errors.ts'
import { type ConnectionView, listReach, type Reach } from '../store/grant.ts'
import { findOperationToken, type IssuedToken } from '../store/operation-token.ts'
import { findServiceTokenById } from '../store/service-token.ts'
import type { Store } from '../store/store.ts'
import type { Grant, Operation } from '../words.ts'
import { type Chosen, isChosen, needsReconnect, notGranted, widest } from './choose-connection.ts'
import { invalidToken, type TokenRefusal } from './jwt.ts'

/** What stands behind an operation token. Good for as long as the policy epoch stays the same. */
export type Authority = {
  readonly grant: Grant
  readonly agentName: string
  readonly connection: ConnectionView
  readonly policyEpoch: number
  /** Milliseconds since the Unix epoch; null for never. */
  readonly serviceTokenExpiresAt: number | null
}

/**
 * Reads whether a token was issued and what it may reach now: neither it nor its service token nor
 * its agent revoked, a grant for its connection, and still the same account. The policy epoch is
 * read first: whatever narrows while the rows are read belongs to a later one, and the write of
 * the attempt, conditional on this one, will find out (P8).
 */
export async function readAuthority(
  { store, nowMs }: { readonly store: Store; readonly nowMs: number },
  operation: Operation,
): Promise<Authority | TokenRefusal> {
  const policyEpoch = store.policyEpoch()
  const [issued, reach] = await Promise.all([
    findOperationToken(store.db, operation.jti),
    listReach(store.db, operation),
  ])
  if (issued === undefined || !isSame(issued, operation)) {
    return invalidToken('is unknown: this gateway has not issued it', operation)
  }
  const ended = whyEnded(issued, nowMs)
  if (ended !== null) return invalidToken(ended, operation)
  const found = findReached(reach, operation)
  if ('kind' in found) return { ...found, operation }
  const { agent_name: agentName, service_token_expires_at: serviceTokenExpiresAt } = issued
  return { ...found, agentName, policyEpoch, serviceTokenExpiresAt }
}

/**
 * Whether what a call began with still stands, the end of its tokens' lives aside: a stream may
 * outlive the token that it was opened with, and no revocation (P8).
 */
export async function stillStands(store: Store, operation: Operation): Promise<boolean> {
  const [serviceToken, reach] = await Promise.all([
    findServiceTokenById(store.db, operation.serviceTokenId),
    listReach(store.db, operation),
  ])
  if (serviceToken?.agent_status !== 'active' || serviceToken.revoked_at !== null) return false
  return !('kind' in findReached(reach, operation))
}

export const serviceTokenExpired = 'has ended with its service token, which has expired'

function isSame(issued: IssuedToken, { agentId, serviceTokenId }: Operation): boolean {
  return issued.agent_id === agentId && issued.service_token_id === serviceTokenId
}

function whyEnded(issued: IssuedToken, nowMs: number): string | null {
  if (issued.revoked_at !== null) return 'was revoked'
  if (issued.agent_status !== 'active') return 'has ended with its agent, which was revoked'
  if (issued.service_token_revoked_at !== null) {
    return 'has ended with its service token, which was revoked'
  }
  const expiresAt = issued.service_token_expires_at
  return expiresAt !== null && expiresAt <= nowMs ? serviceTokenExpired : null
}

function findReached(
  reach: readonly Reach[],
  { provider, connectionId, generation }: Operation,
): Chosen | Refusal {
  const own = reach.filter(isChosen).filter(({ connection }) => connection.id === connectionId)
  const best = widest(own)
  if (best === undefined) return notGranted(provider)
  const { connection } = best
  if (connection.status === 'removed') return removed(connection)
  if (connection.generation !== generation) {
    return invalidToken('was issued before another account was connected')
  }
  return connection.status === 'connected' ? best : needsReconnect(connection)
}

const removed = ({ provider, label }: ConnectionView): Refusal =>
  refuse(
    'not_connected',
    `The connection ${label} was removed. An operator connects ${provider} anew: ` +
      `\`okoro connections add ${provider}\`.`,
  )

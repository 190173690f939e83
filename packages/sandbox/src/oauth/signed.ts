import { type Answer, invalidParam, ok, refuse } from '../answer.ts'
import type { Action } from '../api/access/action.ts'
import { demoUserId } from '../data/person.ts'
import type { World } from '../world.ts'
import { parseScopes } from './scope.ts'
import { authenticateBySignature } from './signature.ts'
import { issueTokens } from './token.ts'
import type { Owner } from './tokens.ts'

/**
 * `revoke`: ends the person's tokens and subscriptions at this application. Signed.
 *
 * Source: "OAuth 2.0 - Revoke".
 */
export const revoke: Action = ({ body }, world) => {
  const client = authenticateBySignature('revoke', body, world)
  if (!client.ok) return client.answer
  const userId = Number(body.get('userid'))
  const { clientId } = client.application
  const all = world.state.tokens.all()
  const isKnown = all.some((it) => it.clientId === clientId && it.userId === userId)
  if (!isKnown) return refuse(247, 'Invalid Params: invalid userid')
  disconnect(world, { clientId, userId })
  return ok()
}

/**
 * `getdemoaccess`: tokens of the dummy account, without anybody's consent. Signed.
 *
 * Source: "OAuth 2.0 - Getdemoaccess".
 */
export const getDemoAccess: Action = ({ body }, world): Answer => {
  const client = authenticateBySignature('getdemoaccess', body, world)
  if (!client.ok) return client.answer
  const scopes = parseScopes(body.get('scope_oauth2') ?? '')
  if (scopes === null) return invalidParam('scope_oauth2')
  const { clientId } = client.application
  return ok(issueTokens({ clientId, userId: demoUserId(world.seed), scopes }, world))
}

/** A person and an application part: no token of theirs serves any more, nothing is notified. */
export function disconnect({ state }: World, { clientId, userId }: Omit<Owner, 'scopes'>): void {
  state.tokens.revoke(clientId, userId)
  state.subscriptions = state.subscriptions.filter(
    (it) => it.clientId !== clientId || it.userId !== userId,
  )
  state.save()
}

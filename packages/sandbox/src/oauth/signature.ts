import { createHmac, timingSafeEqual } from 'node:crypto'
import { type Answer, invalidParam, ok, refuse } from '../answer.ts'
import type { Action } from '../api/access/action.ts'
import type { Params } from '../http/request.ts'
import type { Application } from '../state.ts'
import type { World } from '../world.ts'
import { randomToken } from './tokens.ts'

/**
 * HMAC-SHA256, hexadecimal, over the values joined by commas in the order of their names.
 *
 * Signed are `action,client_id,timestamp` for getnonce and `action,client_id,nonce` for all else.
 * Source: Withings developer guide, "Sign your requests".
 */
export function sign(secret: string, fields: Readonly<Record<string, string>>): string {
  const message = Object.entries(fields)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, value]) => value)
  return createHmac('sha256', secret).update(message.join(',')).digest('hex')
}

export type Authenticated =
  | { readonly ok: true; readonly application: Application }
  | { readonly ok: false; readonly answer: Answer }

/** Judges `client_id`, `nonce` and `signature`; the nonce is spent whatever the judgement. */
export function authenticateBySignature(
  action: string,
  params: Params,
  world: World,
): Authenticated {
  const application = world.state.applications.get(params.get('client_id') ?? '')
  if (application === undefined) return { ok: false, answer: invalidParam('client_id') }
  const nonce = params.get('nonce') ?? ''
  if (world.nonces.take(nonce, world.now()) !== application.clientId) {
    return { ok: false, answer: refuse(343, 'Invalid Params: invalid nonce') }
  }
  const expected = sign(application.clientSecret, {
    action,
    client_id: application.clientId,
    nonce,
  })
  return isSame(expected, params.get('signature'))
    ? { ok: true, application }
    : { ok: false, answer: badSignature }
}

/** `getnonce`: a nonce for one signed call within 30 minutes. Source: "Signature v2 - Getnonce". */
export const getNonce: Action = ({ body }, world) => {
  const application = world.state.applications.get(body.get('client_id') ?? '')
  if (application === undefined) return invalidParam('client_id')
  const timestamp = body.get('timestamp') ?? ''
  if (!/^\d{1,12}$/.test(timestamp)) return invalidParam('timestamp')
  const fields = { action: 'getnonce', client_id: application.clientId, timestamp }
  if (!isSame(sign(application.clientSecret, fields), body.get('signature'))) return badSignature
  const nonce = randomToken()
  world.nonces.put(nonce, application.clientId, world.now())
  return ok({ nonce })
}

const badSignature = refuse(342, 'Invalid Params: invalid signature')

/** Compares secrets in constant time. */
export function isSame(expected: string, given: string | undefined): boolean {
  const left = Buffer.from(expected)
  const right = Buffer.from(given ?? '')
  return left.length === right.length && timingSafeEqual(left, right)
}

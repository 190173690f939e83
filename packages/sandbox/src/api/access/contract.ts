import { refusals, refuse } from '../../answer.ts'
import { authenticateBySignature } from '../../oauth/signature.ts'
import type { Action } from './action.ts'

/**
 * An action for partners with a contract, which no application here has.
 *
 * Unsigned it is the 503 that was recorded of `/v2/user` `get`. A signature is judged first, as
 * everywhere; a right one is told that the application may not call this service.
 */
export function contractOnly(action: string): Action {
  return ({ params }, world) => {
    if (!params.has('signature')) return needsContract
    const client = authenticateBySignature(action, params, world)
    return client.ok ? refusals.unauthorized : client.answer
  }
}

const needsContract = refuse(503, 'Invalid Params: this action needs a contract')

/** Services of which no action is public, by path. */
export const contractServices: ReadonlySet<string> = new Set([
  '/v2/answers',
  '/v2/device',
  '/v2/dropshipment',
  '/v2/nudge',
  '/v2/nudgecampaign',
  '/v2/order',
  '/v2/rawdata',
  '/v2/survey',
])

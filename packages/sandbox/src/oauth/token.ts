import { type Answer, invalidParam, ok } from '../answer.ts'
import type { Action } from '../api/access/action.ts'
import type { Params } from '../http/request.ts'
import { withWelcome } from '../notify/subscriptions.ts'
import type { Application } from '../state.ts'
import type { World } from '../world.ts'
import { type Authenticated, authenticateBySignature, isSame } from './signature.ts'
import { type Owner, randomToken, type TokenPair } from './tokens.ts'

/**
 * `requesttoken`: a code or a refresh token for a token pair.
 *
 * Reads the body alone: with the parameters in the query, or by GET, the live endpoint says
 * "invalid grant_type". Source: "OAuth 2.0 - Get your access token" and the FAQ.
 */
export const requestToken: Action = ({ body }, world) => {
  const grant = Object.hasOwn(grants, body.get('grant_type') ?? '')
    ? grants[body.get('grant_type') as keyof typeof grants]
    : null
  if (grant === null) return invalidParam('grant_type')
  const client = authenticate(body, world)
  return client.ok ? grant(body, client.application, world) : client.answer
}

type Grant = (params: Params, application: Application, world: World) => Answer

const grants = {
  authorization_code: tradeCode,
  refresh_token: tradeRefreshToken,
} as const satisfies Readonly<Record<string, Grant>>

/** Live clients send secret and signature together: each one that is there must be right. */
function authenticate(params: Params, world: World): Authenticated {
  const application = world.state.applications.get(params.get('client_id') ?? '')
  if (application === undefined) return { ok: false, answer: invalidParam('client_id') }
  const isSigned = params.has('signature')
  const secret = params.get('client_secret')
  const isSecretRight = secret === undefined ? isSigned : isSame(application.clientSecret, secret)
  if (!isSecretRight) return { ok: false, answer: invalidParam('client_secret') }
  return isSigned
    ? authenticateBySignature('requesttoken', params, world)
    : { ok: true, application }
}

function tradeCode(params: Params, application: Application, world: World): Answer {
  const code = world.codes.take(params.get('code') ?? '', world.now())
  if (code === null || code.clientId !== application.clientId) return invalidParam('code')
  if (code.redirectUri !== params.get('redirect_uri')) return invalidParam('redirect_uri')
  return ok({ ...issueTokens(code, world), csrf_token: randomToken() })
}

/** A new pair, saved, as the answer's body. */
export function issueTokens(owner: Owner, world: World) {
  const pair = world.state.tokens.issue(owner, world.now())
  world.state.subscriptions = withWelcome(world.state.subscriptions, pair)
  world.state.save()
  return { ...describe(pair, world), userid: String(pair.userId) }
}

function tradeRefreshToken(params: Params, application: Application, world: World): Answer {
  const pair = world.state.tokens.refresh(
    params.get('refresh_token') ?? '',
    application.clientId,
    world.now(),
  )
  if (pair === null) return invalidParam('refresh_token')
  world.state.save()
  // The published samples show `userid` as a string and as an integer: a client must read both.
  return ok({ ...describe(pair, world), userid: pair.userId })
}

function describe(pair: TokenPair, world: World) {
  return {
    access_token: pair.accessToken,
    refresh_token: pair.refreshToken,
    expires_in: pair.accessDiesAt - world.now(),
    scope: pair.scopes.join(','),
    token_type: 'Bearer',
  }
}

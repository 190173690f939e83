import { type Answer, invalidParam, refusals } from '../../answer.ts'
import type { Life } from '../../data/happening.ts'
import { seedOf } from '../../data/person.ts'
import type { ApiRequest } from '../../http/request.ts'
import type { Scope } from '../../oauth/scope.ts'
import type { TokenPair } from '../../oauth/tokens.ts'
import type { World } from '../../world.ts'
import { readParams, type Shape } from '../params.ts'
import { tokenOf } from './bearer.ts'

/** One (path, action) of the provider. */
export type Action = (request: ApiRequest, world: World) => Answer | Promise<Answer>

export type Call<Values> = {
  readonly params: Values
  readonly token: TokenPair
  readonly world: World
  readonly life: Life
  /** Epoch seconds. */
  readonly now: number
}

export type Conditions<Values> = {
  /** Any one of these is enough; none means that every living token may call. */
  readonly scopes: readonly Scope[]
  readonly params: Shape<Values>
}

/**
 * An action behind an access token: first the token (401), then its scopes (403), then the types of
 * the parameters (503), then the deed.
 */
export function withToken<Values>(
  { scopes, params }: Conditions<Values>,
  run: (call: Call<Values>) => Answer | Promise<Answer>,
): Action {
  return (request, world) => {
    const token = authenticate(request, world)
    if (token === null) return refusals.invalidToken
    if (!hasAny(token, scopes)) return refusals.insufficientScope
    const read = readParams(params, request.params)
    if (!read.ok) return invalidParam(read.name)
    const { happenings } = world.state.editsOf(token.userId)
    const life = { seed: seedOf(world.seed, token.userId), happenings }
    return run({ params: read.values, token, world, life, now: world.now() })
  }
}

export function hasAny(token: TokenPair, scopes: readonly Scope[]): boolean {
  return scopes.length === 0 || scopes.some((scope) => token.scopes.includes(scope))
}

function authenticate(request: ApiRequest, world: World): TokenPair | null {
  const accessToken = tokenOf(request)
  if (accessToken === null) return null
  const use = world.state.tokens.use(accessToken, world.now())
  if (use?.isFirstUse) world.state.save()
  return use?.pair ?? null
}

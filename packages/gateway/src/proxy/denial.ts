import { appendDenial, denialFields } from '../audit/append.ts'
import { errors, type Refusal } from '../errors.ts'
import type { TokenRefusal } from '../tokens/operation-token.ts'
import type { ComposedRequest } from '../words.ts'
import type { Call } from './call.ts'
import { type Caller, factsOf } from './facts.ts'

type Refused = {
  readonly refusal: Refusal
  readonly rule?: string | null
  readonly composed?: ComposedRequest | null
  readonly attemptNo?: number
}

/** The refusal is recorded before it is answered; the record counts as its own outcome. */
export async function deny(call: Call, verified: Caller, refused: Refused): Promise<Refusal> {
  const { refusal, rule = null, composed = null, attemptNo = 1 } = refused
  const facts = factsOf(call, verified, { composed, attemptNo })
  const { code } = refusal
  await appendDenial(call.parts.store, facts, { code, status: errors[code].status, rule })
  return refusal
}

/** Floods of one agent's same refusal become one record with a count. */
export async function refuseFlood(
  call: Call,
  who: Caller,
  refusal: Refusal,
  { composed = null, attemptNo = 1 }: Pick<Refused, 'composed' | 'attemptNo'> = {},
): Promise<Refusal> {
  const { code, members } = refusal
  const { limit } = members
  const facts = factsOf(call, who, { composed, attemptNo })
  const denial = { code, status: errors[code].status, rule: null }
  await call.parts.coalescer.record({
    ...denialFields(call.parts.store, facts, denial),
    ...{ agent: facts.operation.agentId, reason: code },
    ...(typeof limit === 'string' && { limit }),
  })
  return refusal
}

/** Recorded once the caller is known: a token whose signature never held names nobody. */
export async function refuseToken(call: Call, refusal: TokenRefusal): Promise<Refusal> {
  const { operation } = refusal
  if (operation === null) return refusal
  return await refuseFlood(call, { operation, agentName: null, connection: null }, refusal)
}

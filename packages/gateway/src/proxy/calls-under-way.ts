import { isRefusal } from '../errors.ts'
import type { Verifier } from '../tokens/operation-token.ts'
import type { Operation } from '../words.ts'

/** A call that may go on for long: what it stands on, and how it is ended. */
export type CallUnderWay = {
  readonly token: string
  readonly provider: string
  readonly operation: Operation
  /** Whether its answer has begun: before that it can still be refused in good order. */
  readonly isAnswering: () => boolean
  readonly cut: () => void
}

/** Calls under way on this node, so that those whose permission has gone can be cut (P8). */
export type CallsUnderWay = {
  /** Returns what to do when the call is over. */
  begin(call: CallUnderWay): () => void
  /**
   * Cuts the calls whose permission was revoked. That a token has run out is no revocation: such a
   * call may end in peace for as long as what stood behind it does.
   */
  cutRevoked(
    verifier: Pick<Verifier, 'verify' | 'stillStands'>,
    now: { readonly nowMs: number; readonly policyEpoch: number },
  ): Promise<void>
  /** Cuts every answer that has begun: nobody here knows any more which of them may go on. */
  cutAnswers(): void
}

/**
 * A list in which the last one takes the place of the one that goes. A Set would do but for the
 * garbage: when one outgrows its table, V8 lets the old table point to the new one, and an old
 * table that has outlived its youth keeps every call alive that was in it, sockets and all.
 */
export function createCallsUnderWay(): CallsUnderWay {
  const places: Place[] = []
  return {
    begin: (call) => {
      const place = { call, at: places.length, judgedEpoch: -1 }
      places.push(place)
      return () => leave(places, place)
    },
    cutRevoked: async (verifier, { nowMs, policyEpoch }) => {
      for (const place of [...places]) {
        const { token, provider, operation, cut } = place.call
        if (operation.expiresAt * 1000 > nowMs) {
          if (isRefusal(await verifier.verify(token, provider))) cut()
        } else if (place.judgedEpoch !== policyEpoch) {
          if (await verifier.stillStands(operation)) place.judgedEpoch = policyEpoch
          else cut()
        }
      }
    },
    cutAnswers: () => {
      for (const { call } of [...places]) if (call.isAnswering()) call.cut()
    },
  }
}

/** `judgedEpoch`: the policy under which a call with a token that has run out was last looked at. */
type Place = { readonly call: CallUnderWay; at: number; judgedEpoch: number }

function leave(places: Place[], place: Place): void {
  if (places[place.at] !== place) return
  const last = places.pop()
  if (last === undefined || last === place) return
  places[place.at] = last
  last.at = place.at
}

import { isRefusal } from '../errors.ts'
import type { Verifier } from '../tokens/operation-token.ts'

/** A call that may go on for long: what it stands on, and how it is ended. */
export type CallUnderWay = {
  readonly token: string
  readonly provider: string
  /** Seconds since the Unix epoch: running out is no revocation, the call may end in peace. */
  readonly expiresAt: number
  readonly cut: () => void
}

/** Calls under way on this node, so that those whose permission has gone can be cut (P8). */
export type CallsUnderWay = {
  /** Returns what to do when the call is over. */
  begin(call: CallUnderWay): () => void
  /** Cuts the calls whose token is no longer good. */
  cutRevoked(verifier: Pick<Verifier, 'verify'>, nowMs: number): Promise<void>
}

export function createCallsUnderWay(): CallsUnderWay {
  const calls = new Set<CallUnderWay>()
  return {
    begin: (call) => {
      calls.add(call)
      return () => void calls.delete(call)
    },
    cutRevoked: async (verifier, nowMs) => {
      for (const call of [...calls]) {
        if (call.expiresAt * 1000 <= nowMs) continue
        if (isRefusal(await verifier.verify(call.token, call.provider))) call.cut()
      }
    },
  }
}

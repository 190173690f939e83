import type { ServerResponse } from 'node:http'
import type { Provider } from '../catalog/provider.ts'
import type { ApplicationLimits, Through } from '../limits/application-limits.ts'
import type { Clock } from '../words.ts'
import type { Peeked } from './reply.ts'
import { headerOf, readTooMany, type Wait } from './too-many.ts'

type Heard = {
  readonly parts: {
    readonly limits: Pick<ApplicationLimits, 'pause'>
    readonly onMalfunction: (error: unknown, requestId: string) => void
  }
  readonly response: ServerResponse
  readonly requestId: string
  readonly through: Through
  readonly peeked: Peeked
}

/** What an answer says of too many calls; null, as nearly always, when it says nothing. */
export function saysTooMany(provider: Provider, peeked: Peeked, clock: Clock): Wait | null {
  const { envelope, limits } = provider
  const { answer, whole } = peeked
  const status = envelope ? peeked.envelope?.value : answer.status
  if (status == null || !limits.tooManyStatuses.has(status)) return null
  return readTooMany(limits.tooMany, {
    ...{ status, rawHeaders: answer.rawHeaders, body: whole },
    ...{ messageAt: envelope?.message ?? null, nowMs: clock() },
  })
}

/**
 * Heeds an answer that says: too many calls. It reaches the agent as it came, and `Retry-After` with
 * it; where it is about the whole application, further calls wait. Never throws.
 */
export async function heed(wait: Wait, heard: Heard): Promise<void> {
  const { parts, response, requestId, through, peeked } = heard
  if (headerOf(peeked.answer.rawHeaders, 'retry-after') === null) {
    response.setHeader('retry-after', `${wait.seconds}`)
  }
  if (!wait.pauses) return
  try {
    await parts.limits.pause(through, wait.seconds)
  } catch (error) {
    // This node waits all the same, and the answer is on its way: its outcome decides.
    parts.onMalfunction(error, requestId)
  }
}

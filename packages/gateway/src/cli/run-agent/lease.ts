import type { AdminClient } from '../gateway/admin-client.ts'
import { segment } from '../gateway/admin-client.ts'
import { pause } from '../session.ts'
import { Failure } from '../terminal/failure.ts'

/** The lease on life of one agent, in the hands of the process that keeps it. */
export type Lease = {
  /** Ends the agent. Gives up when told to; then its lease runs out. */
  end(giveUp: AbortSignal): Promise<'ended' | Failure>
}

type Parts = {
  readonly admin: Pick<AdminClient, 'call'>
  readonly agent: { readonly id: string; readonly name: string; readonly leaseSeconds: number }
  /** One line for whoever watches. */
  readonly say: (line: string) => void
}

/** Milliseconds between two attempts while the gateway is away, at most. */
const retryMs = 1_000

/** Renews the lease every third of its length until it is ended or the agent was revoked. */
export function keepLease(parts: Parts): Lease {
  const { admin, agent } = parts
  const over = new AbortController()
  void renewAgain(parts, over.signal)
  return {
    end: (giveUp) => {
      over.abort()
      return Promise.race([revoke(admin, agent.id), givenUp(giveUp)])
    },
  }
}

async function renewAgain(parts: Parts, over: AbortSignal): Promise<void> {
  const { agent, say } = parts
  const beatMs = (agent.leaseSeconds * 1000) / 3
  let isAway = false
  await pause(beatMs, over)
  while (!over.aborted) {
    const result = await renew(parts)
    if (over.aborted) return
    if (result === 'revoked') {
      say(`agent ${agent.name} was revoked: its calls are refused from now on.`)
      return
    }
    if (result !== 'renewed' && !isAway) say(awayLine(parts, result))
    if (result === 'renewed' && isAway) say(`the gateway is back; ${agent.name} goes on.`)
    isAway = result !== 'renewed'
    await pause(isAway ? Math.min(retryMs, beatMs) : beatMs, over)
  }
}

async function renew({ admin, agent }: Parts): Promise<'renewed' | 'revoked' | Failure> {
  try {
    await admin.call('PUT', leasePath(agent.id))
    return 'renewed'
  } catch (error) {
    const failure = failureOf(error)
    return failure.ending === 'refused' ? 'revoked' : failure
  }
}

const awayLine = ({ agent }: Parts, { message }: Failure): string =>
  `${message} Trying on; without it ${agent.name} ends ${agent.leaseSeconds} s after its last sign of life.`

/** An agent that was revoked before is as ended as can be. */
async function revoke(admin: Parts['admin'], id: string): Promise<'ended' | Failure> {
  try {
    await admin.call('DELETE', leasePath(id))
    return 'ended'
  } catch (error) {
    const failure = failureOf(error)
    return failure.ending === 'refused' ? 'ended' : failure
  }
}

const leasePath = (id: string): string => `/agents/${segment(id)}/lease`

const failureOf = (error: unknown): Failure =>
  error instanceof Failure ? error : new Failure('failed', String(error), { cause: error })

const givenUp = (signal: AbortSignal): Promise<Failure> =>
  new Promise((resolve) => {
    const end = () => resolve(new Failure('interrupted', 'Stopped.'))
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })

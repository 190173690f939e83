import type { ServerResponse } from 'node:http'
import type { Limits } from '../catalog/limits.ts'
import type { Envelope } from '../catalog/provider.ts'
import { EnvelopeStatus } from './envelope.ts'
import type { Answer, Failure, ForwardError } from './forward.ts'

/** Bytes that are held while the provider's own status is still unknown. */
const peekBytes = 65_536
/** Milliseconds for which they are held at the most: a slow answer must not look like none. */
const peekMs = 2_000

/** The beginning of an answer, read far enough to know what the provider really said. */
export type Peeked = {
  readonly answer: Answer
  readonly envelope: EnvelopeStatus | null
  /** What was held; the rest still flows. */
  readonly chunks: readonly Buffer[]
  /** The body, where it was held to its end because its text matters; else null. */
  readonly whole: Buffer | null
  /** Takes over the flow; an answer that is over already ends in this call. */
  readonly flowTo: (next: Flow) => void
}

type Flow = {
  chunk(bytes: Buffer): boolean
  end(end: 'ended' | Failure): void
}

/**
 * Reads the head of an answer and, where the provider hides its status in the body, so much of it
 * that the status is known; an answer with one of the `heldStatuses` is held to its end if it is
 * small. Resolves at once where there is no envelope.
 */
export function peek(
  answer: Answer,
  envelope: Envelope | null,
  { heldStatuses }: Pick<Limits, 'heldStatuses'>,
): Peeked | Promise<Peeked> {
  const status = envelope && isPlainJson(answer) ? new EnvelopeStatus(envelope.status) : null
  if (status === null) return unread(answer)
  const isHeld = () => status.value !== null && heldStatuses.has(status.value)
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let held = 0
    let end: 'ended' | Failure | null = null
    let flow: Flow | null = null
    let isResolved = false
    const settle = () => {
      if (isResolved) return
      isResolved = true
      clearTimeout(late)
      const flowTo = (next: Flow) => {
        flow = next
        if (end) next.end(end)
      }
      const whole = end === 'ended' && isHeld() ? Buffer.concat(chunks) : null
      resolve({ answer, envelope: status, chunks, whole, flowTo })
    }
    const late = setTimeout(settle, peekMs)
    const finish = (how: 'ended' | Failure) => {
      end = how
      if (flow) flow.end(how)
      else settle()
    }
    answer.drainTo({
      chunk: (bytes) => {
        status.read(bytes)
        if (flow) return flow.chunk(bytes)
        chunks.push(bytes)
        held += bytes.length
        const isKnown = (status.isDone && !isHeld()) || held > peekBytes
        if (isKnown) settle()
        // Between the settling and the taking over nothing may flow by.
        return !isKnown
      },
      end: () => finish('ended'),
      fail: finish,
    })
  })
}

const unread = (answer: Answer): Peeked => ({
  ...{ answer, envelope: null, chunks: [], whole: null },
  flowTo: (next) =>
    answer.drainTo({
      chunk: next.chunk,
      end: () => next.end('ended'),
      fail: next.end,
    }),
})

/** A compressed body can't be read in passing; identity was asked for. */
function isPlainJson({ rawHeaders }: Answer): boolean {
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() !== 'content-encoding') continue
    if (rawHeaders[at + 1]?.toLowerCase() !== 'identity') return false
  }
  return true
}

/** A peeked answer with the headers that the agent gets: a flat list. */
export type Returnable = Peeked & {
  readonly headers: readonly string[]
  /** Milliseconds that the agent may leave the answer unread: it holds a socket of the provider. */
  readonly idleMs: number
}

export type Returned = {
  readonly bytesOut: number
  readonly error: null | 'client_gone' | ForwardError
}

/**
 * Streams the answer to the agent and holds back its end: `settle` makes the outcome durable, and
 * only then does the message become complete (P2). For event streams each event passes at once and
 * the terminator alone is held; otherwise the newest chunk is. When `settle` fails the message is
 * cut. Resolves when the message is over, one way or the other.
 */
export function reply(
  peeked: Returnable,
  response: ServerResponse,
  settle: (returned: Returned) => Promise<void>,
): Promise<void> {
  const { answer, idleMs } = peeked
  const headers = [...peeked.headers]
  const isEventStream = isEndless(headers)
  return new Promise((resolve) => {
    let held: Buffer | null = null
    let bytesOut = 0
    let isOver = false
    let unread: NodeJS.Timeout | null = null
    const hasRead = () => {
      if (unread) clearTimeout(unread)
      unread = null
    }

    const write = (bytes: Buffer): boolean => {
      const flows = response.write(bytes)
      if (!flows) unread ??= setTimeout(() => response.destroy(), idleMs)
      return flows
    }
    const pass = (bytes: Buffer): boolean => {
      bytesOut += bytes.length
      if (isEventStream) return write(bytes)
      const before = held
      held = bytes
      return before === null || write(before)
    }
    const over = async (error: Returned['error']) => {
      if (isOver) return
      isOver = true
      try {
        await settle({ bytesOut, error })
        if (error === null) {
          response.end(held ?? undefined)
          resolve()
          return
        }
      } catch {
        // The outcome is not durable, so the agent must not see a whole message.
      }
      response.destroy()
      resolve()
    }
    const end = (how: 'ended' | Failure) => void over(how === 'ended' ? null : how.error)

    response.on('drain', () => {
      hasRead()
      answer.resume()
    })
    response.on('close', () => {
      hasRead()
      if (response.writableFinished || isOver) return
      void over('client_gone')
      answer.abort()
    })
    for (const name of response.getHeaderNames()) {
      // `writeHead` with a list drops what was set before.
      headers.push(name, String(response.getHeader(name)))
    }
    // The provider has answered before the whole body came: nobody waits for the rest of it.
    if (!response.req.complete) headers.push('connection', 'close')
    response.writeHead(answer.status, headers)
    let flows = true
    for (const chunk of peeked.chunks) flows = pass(chunk) && flows
    peeked.flowTo({ chunk: pass, end })
    if (flows) answer.resume()
  })
}

/** An event stream of unknown length; one with a length has a last byte to hold. */
function isEndless(headers: readonly string[]): boolean {
  const has = (name: string, value: RegExp) =>
    headers.some(
      (one, at) => at % 2 === 0 && one.toLowerCase() === name && value.test(headers[at + 1] ?? ''),
    )
  return has('content-type', /^text\/event-stream\b/i) && !has('content-length', /./)
}

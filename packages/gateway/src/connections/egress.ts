import { Agent, request } from 'undici'
import { Malfunction } from '../errors.ts'

/** Bytes of a provider's answer that are read; a token answer has less than one of these KiB. */
const maxAnswerBytes = 65_536

/** Milliseconds from the first byte sent to the last one read. */
export const providerDeadlineMs = 10_000

/** The part of `fetch` that is needed here; fits oauth4webapi's `customFetch`. */
export type ProviderFetch = (
  url: string,
  options: {
    readonly method: string
    readonly headers: Readonly<Record<string, string>>
    readonly body?: URLSearchParams | null
  },
) => Promise<Response>

export type Egress = { readonly fetch: ProviderFetch; close(): Promise<void> }

export type EgressOptions = {
  /** Origins of sandboxes: only they may be plain HTTP, on loopback, or have the CA below. */
  readonly sandboxOrigins?: ReadonlySet<string>
  /** PEM of the CA that a sandbox with TLS was signed by. No other origin is verified with it. */
  readonly sandboxCa?: string
  /** `providerDeadlineMs` when absent. */
  readonly deadlineMs?: number
}

/**
 * The only way by which connections/ reaches a provider: verified TLS, no redirect followed, an
 * end to waiting, 64 KiB of answer.
 *
 * `fetch` throws Malfunction `upstream_timeout`, `upstream_unreachable` or `upstream_invalid`. It
 * carries no cause: a parser's error holds bytes of the answer, and there are tokens in it.
 */
export function createEgress({
  sandboxOrigins,
  sandboxCa,
  deadlineMs = providerDeadlineMs,
}: EgressOptions = {}): Egress {
  const direct = new Agent()
  const sandbox = new Agent({ connect: sandboxCa === undefined ? {} : { ca: sandboxCa } })
  return {
    fetch: async (url, { method, headers, body }) => {
      const { origin } = new URL(url)
      const isSandbox = sandboxOrigins?.has(origin) ?? false
      checkTransport(url, isSandbox)
      try {
        const answer = await request(url, {
          dispatcher: isSandbox ? sandbox : direct,
          method,
          headers: { ...headers, 'user-agent': 'okoro' },
          body: body?.toString() ?? null,
          signal: AbortSignal.timeout(deadlineMs),
        })
        return responseOf(answer, await readBounded(answer.body, origin))
      } catch (error) {
        throw error instanceof Malfunction ? error : unreached(origin, error)
      }
    },
    close: async () => {
      await Promise.all([direct.destroy(), sandbox.destroy()])
    },
  }
}

function checkTransport(url: string, isSandbox: boolean): void {
  const { protocol, hostname, origin } = new URL(url)
  const isLoopback = /^(127(\.\d+){3}|\[::1\]|localhost)$/.test(hostname)
  if (protocol === 'https:' || (protocol === 'http:' && isSandbox && isLoopback)) return
  throw new Malfunction('upstream_unreachable', `${origin} is not reached without TLS.`)
}

async function readBounded(body: AsyncIterable<Buffer>, origin: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  // Leaving the loop destroys the body and with it the socket.
  for await (const chunk of body) {
    size += chunk.length
    if (size > maxAnswerBytes) {
      throw new Malfunction('upstream_invalid', `${origin} sent more than ${maxAnswerBytes} bytes.`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

type Head = {
  readonly statusCode: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

function responseOf({ statusCode, headers }: Head, body: Buffer): Response {
  const kept = ['content-type', 'retry-after'].flatMap((name): [string, string][] => {
    const value = headers[name]
    return typeof value === 'string' ? [[name, value]] : []
  })
  const isEmpty = body.length === 0
  return new Response(isEmpty ? null : new Uint8Array(body), { status: statusCode, headers: kept })
}

function unreached(origin: string, error: unknown): Malfunction {
  if (error instanceof Error && error.name === 'TimeoutError') {
    return new Malfunction('upstream_timeout', `${origin} did not answer in time.`)
  }
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
  return new Malfunction('upstream_unreachable', `${origin} could not be reached (${code}).`)
}

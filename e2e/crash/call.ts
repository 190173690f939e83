import { Agent, request } from 'node:http'

/** What one message of a gateway was, once it was read to its last byte. */
export type Message = {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
}

export type Ask = {
  readonly url: string
  readonly bearer: string
  readonly contentType: string
  readonly body: string
  /** Hangs up: the agent that goes away. */
  readonly signal?: AbortSignal
}

/** A client with one connection of its own, kept alive. */
export type Client = {
  /** Resolves with a whole message; rejects when it broke off, whatever was read of it. */
  post(ask: Ask): Promise<Message>
  close(): void
}

export function createClient(): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  return {
    post: ({ url, bearer, contentType, body, signal }) =>
      new Promise((resolve, reject) => {
        const headers = {
          ...{ authorization: `Bearer ${bearer}`, 'content-type': contentType },
          'content-length': Buffer.byteLength(body),
        }
        const sent = request(url, { method: 'POST', agent, headers, ...(signal && { signal }) })
        sent.once('error', reject)
        sent.once('response', (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.once('error', reject)
          // `complete` is the parser's own word: Content-Length reached, or the last chunk read.
          response.once('end', () => {
            if (!response.complete) return reject(new Error('broke off'))
            const { statusCode: status = 0, headers } = response
            resolve({ status, headers, body: Buffer.concat(chunks) })
          })
          response.once('close', () => reject(new Error('broke off')))
        })
        sent.end(body)
      }),
    close: () => agent.destroy(),
  }
}

import type { ServerResponse } from 'node:http'
import type { Answer } from '../answer.ts'

/** One HTTP answer. `status` is what the log of received requests shows: in-body where there is one. */
export type Reply = {
  readonly status: number
  readonly http: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/**
 * The provider's envelope as HTTP: always 200, failures too.
 *
 * Source: Withings API reference, "Response status".
 */
export function envelope(answer: Answer): Reply {
  return {
    status: answer.status,
    http: 200,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(answer),
  }
}

export function send(response: ServerResponse, reply: Reply): void {
  response.writeHead(reply.http, {
    ...reply.headers,
    'content-length': Buffer.byteLength(reply.body),
  })
  response.end(reply.body)
}

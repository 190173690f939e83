import type { IncomingMessage } from 'node:http'

const LIMIT_BYTES = 1_048_576

/** Reads a whole request body as UTF-8. Returns null when it is over 1 MiB. */
export async function readBody(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    size += chunk.length
    if (size <= LIMIT_BYTES) chunks.push(chunk)
  }
  return size > LIMIT_BYTES ? null : Buffer.concat(chunks).toString('utf8')
}

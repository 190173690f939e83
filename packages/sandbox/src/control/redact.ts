import { createHash } from 'node:crypto'

/** Parameters that let their bearer act; a form, a query or JSON may hold them. */
const secretParameter =
  /(\b(?:access_token|refresh_token|client_secret|code|signature|nonce)(?:=|"\s*:\s*"))([^&"\s]+)/g

type Recorded = {
  readonly target: string
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string
}

/**
 * The request for a file that outlives the run: each secret is its hash, so that two requests with
 * the same token can still be told from two with different ones.
 */
export function withoutSecrets<Entry extends Recorded>(entry: Entry): Entry {
  return {
    ...entry,
    target: hideParameters(entry.target),
    body: hideParameters(entry.body),
    headers: entry.headers.map(([name, value]) => [name, hideHeader(name, value)] as const),
  }
}

function hideParameters(text: string): string {
  return text.replace(secretParameter, (_, name: string, value: string) => name + hashOf(value))
}

function hideHeader(name: string, value: string): string {
  if (!/^(?:proxy-)?authorization$|^cookie$/i.test(name)) return value
  const [, scheme = '', secret = ''] = /^([a-z]+ +)?(.*)$/i.exec(value) ?? []
  return scheme + hashOf(secret)
}

/** Enough of SHA-256 to tell secrets apart, and too little to look like one. */
function hashOf(secret: string): string {
  return `sha256:${createHash('sha256').update(secret).digest('hex').slice(0, 16)}`
}

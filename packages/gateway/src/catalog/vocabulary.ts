import { z } from 'zod'
import { Malfunction } from '../errors.ts'

/** The small words that the vocabulary of a provider file is made of (provider.ts has the whole). */

/** What is never an agent's to send: framing, credentials, forwarding, overrides, our own. */
const passableHeader =
  /^(?!(authorization|connection|content-length|cookie|expect|host|keep-alive|te|trailer|transfer-encoding|upgrade)$|proxy-|forwarded|x-forwarded|x-http-method|x-method|okoro-)[a-z0-9-]+$/

export const word = {
  name: z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/),
  ruleId: z.string().regex(/^[a-z0-9]+([._-][a-z0-9]+)*$/),
  method: z.string().regex(/^(?!(CONNECT|TRACE)$)[A-Z]+$/),
  sentence: z.string().min(1).max(300),
  source: z.url({ protocol: /^https$/ }).describe('The page that this was read from.'),
  path: z.string().regex(/^\/[A-Za-z0-9/._~!$&'()*+,=:@{}-]*$/),
  origin: z.string().regex(/^https:\/\/[a-z0-9.-]+(:[0-9]+)?$/),
  /** RFC 6901 without escapes; empty for the whole document. */
  pointer: z.string().regex(/^(\/[^/~]+)*$/),
  header: z.string().regex(passableHeader),
  headerValue: z.string().regex(/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/),
  /** Of the provider's answer. */
  answerHeader: z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/),
  positive: z.int().positive(),
}

/** A mistake in a provider file, found while compiling it. `where` names the member. */
export function mistake(where: string, what: string): never {
  throw new Malfunction('internal_error', `provider.yaml, ${where}: ${what}`)
}

/** A parameter name as the loosest reader would take it: `Access.Token[]` is `access_token`. */
export function looseName(name: string): string {
  const bracket = name.indexOf('[', 1)
  const bare = bracket === -1 ? name : name.slice(0, bracket)
  return bare.trim().toLowerCase().replace(/[-. ]/g, '_')
}

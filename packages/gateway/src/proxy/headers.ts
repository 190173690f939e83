import type { Provider } from '../catalog/provider.ts'
import { looseName } from '../catalog/vocabulary.ts'
import type { Refusal } from '../errors.ts'
import { type Place, rewrites } from './links.ts'
import { isMethodOverride, refuseOverride } from './parameters.ts'

/**
 * Which headers pass. Raw headers are flat lists, as node:http has them: name, value, name, value.
 */

/** The request headers that any provider may see. All others are dropped without a word. */
const passingRequest = new Set([
  'accept',
  'accept-encoding',
  'accept-language',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'range',
  'user-agent',
])

/** These describe the agent's body: they pass with it, and not when a body is composed anew. */
const passingWithBody = new Set(['content-encoding', 'content-language', 'content-type'])

/**
 * The headers that go to the provider: lower-case names, in the agent's order. A provider with an
 * envelope is asked for an answer that we can read (`accept-encoding: identity`). The provider
 * file's defaults stand in for what the agent did not send.
 */
export function requestHeaders(
  rawHeaders: readonly string[],
  provider: Provider,
): [name: string, value: string][] {
  const nominated = nominatedBy(rawHeaders)
  const headers: [string, string][] = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase()
    if (!mayPass(name, provider) || nominated?.has(name)) continue
    headers.push([name, rawHeaders[i + 1] as string])
  }
  if (provider.envelope) headers.push(['accept-encoding', 'identity'])
  for (const [name, value] of provider.defaultHeaders) {
    if (!headers.some(([sent]) => sent === name)) headers.push([name, value])
  }
  return headers
}

function mayPass(name: string, provider: Provider): boolean {
  if (name === 'accept-encoding') return provider.envelope === null
  if (passingWithBody.has(name)) return provider.encoding === 'none'
  return passingRequest.has(name) || provider.requestHeaders.has(name)
}

const droppedResponse = new Set([
  // RFC 9110, section 7.6.1, and its older kin: about this connection, not about the answer.
  ...['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding'],
  ...['upgrade', 'proxy-authenticate', 'proxy-authentication-info', 'proxy-authorization'],
  // They would bind the agent to the gateway's origin, where they were never meant for.
  ...['alt-svc', 'clear-site-data', 'nel', 'public-key-pins', 'report-to', 'reporting-endpoints'],
  ...['service-worker-allowed', 'strict-transport-security', 'www-authenticate'],
  // They carry, or could carry, a credential.
  ...['authentication-info', 'authorization', 'cookie', 'set-cookie', 'set-cookie2'],
  ...['x-access-token', 'x-amz-security-token', 'x-api-key', 'x-auth-token', 'x-csrf-token'],
  ...['x-subject-token', 'x-xsrf-token'],
])

/**
 * The headers of the provider's answer that reach the agent: a flat list, as it came, but for URLs,
 * which lead through the gateway.
 */
export function responseHeaders(rawHeaders: readonly string[], place: Place): string[] {
  const nominated = nominatedBy(rawHeaders)
  const headers: string[] = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    const lower = name.toLowerCase()
    if (droppedResponse.has(lower) || lower.startsWith('okoro-')) continue
    if (nominated?.has(lower) && lower !== 'content-length') continue
    const value = rawHeaders[i + 1] as string
    const rewrite = rewrites.get(lower)
    const led = rewrite ? rewrite(value, place) : value
    if (led !== null) headers.push(name, led)
  }
  return headers
}

/** A refusal when a header asks the provider to take the request for one of another method. */
export function methodOverride(rawHeaders: readonly string[]): Refusal | null {
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (!/^[x_]/i.test(name) || !isMethodOverride(looseName(name))) continue
    return refuseOverride(`The header ${name}`)
  }
  return null
}

/** The headers that Connection nominates (RFC 9110, section 7.6.1); null when there is none. */
function nominatedBy(rawHeaders: readonly string[]): Set<string> | null {
  let nominated: Set<string> | null = null
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (name.length !== 10 || name.toLowerCase() !== 'connection') continue
    const value = (rawHeaders[i + 1] as string).toLowerCase()
    if (value === 'keep-alive' || value === 'close') continue
    nominated ??= new Set()
    for (const token of value.split(',')) nominated.add(token.trim())
  }
  return nominated
}

/** The values of all header lines of this lower-case name. */
export function valuesOf(rawHeaders: readonly string[], name: string): readonly string[] {
  let values: string[] | null = null
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const found = rawHeaders[at] as string
    if (found.length !== name.length || found.toLowerCase() !== name) continue
    values ??= []
    values.push(rawHeaders[at + 1] ?? '')
  }
  return values ?? none
}

const none: readonly string[] = []

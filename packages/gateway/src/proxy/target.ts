import type { Endpoint } from '../catalog/endpoint.ts'
import type { Provider } from '../catalog/provider.ts'
import { type Refusal, refuse } from '../errors.ts'
import type { Target } from '../words.ts'
import { findUnopened, otherReadings } from './escapes.ts'
import { charSet, type Fault, findFault, type PercentRules } from './percent.ts'

const isUnreserved = (char: string): boolean => /[A-Za-z0-9._~-]/.test(char)
const isControl = (char: string): boolean => char < ' ' || char === '\x7f'

/**
 * A path segment is RFC 3986's pchar, less `;`. Escaped may stand what has to be: not what would
 * mean the same unescaped (so that there is one spelling), and not what some server decodes
 * before it splits the path.
 */
const pathRules: PercentRules = {
  raw: charSet((char) => isUnreserved(char) || "/!$&'()*+,=:@".includes(char)),
  escaped: charSet((char) => !isUnreserved(char) && !isControl(char) && !'/\\%;:?#'.includes(char)),
}

const queryRules: PercentRules = {
  raw: charSet((char) => !isControl(char) && char !== ' ' && char !== '#'),
  escaped: charSet((char) => !isControl(char)),
}

/**
 * Reads the raw target behind `/p/<provider>` into its one canonical reading: the same characters,
 * split at the first `?`. What can be read in two ways is refused, never repaired (CONTRACT.md,
 * `bad_target`). The one identity used is RFC 9110's (section 4.2.3): an empty path is `/`.
 * Then closed paths, unknown ones where the provider file refuses them, and methods.
 */
export function resolveTarget(
  request: { readonly method: string; readonly url: string },
  provider: Provider,
): Target | Refusal {
  const { method, url } = request
  const mark = url.indexOf('?')
  const path = (mark === -1 ? url : url.slice(0, mark)) || '/'
  const query = mark === -1 ? null : url.slice(mark + 1)
  const ambiguity = findPathFault(path, provider) ?? findQueryFault(query)
  if (ambiguity !== null) return refuse('bad_target', ambiguity)
  return (
    refuseClosed(path, provider) ??
    refuseMethod(method, provider) ?? {
      ...{ provider: provider.name, method, path, query },
    }
  )
}

function findPathFault(path: string, provider: Provider): string | null {
  if (path[0] !== '/') return 'The target must be a path that begins with "/".'
  const fault = findFault(path, pathRules)
  if (fault === null) return findSegmentFault(path, provider)
  const endpoint = provider.endpointsByPath.match(path)?.value
  if (fault.what !== 'escaped' || !endpoint?.escapes) return describe(fault, path, 'path')
  const unopened = findUnopened(path, endpoint.escapes, pathRules)
  if (unopened) return describe(unopened, path, 'path')
  return findSegmentFault(path, provider) ?? findOtherFault(path, endpoint, provider)
}

function findSegmentFault(path: string, provider: Provider): string | null {
  if (path.includes('//')) return 'The path contains "//". Send each segment once.'
  if (hasDotSegment(path)) return 'The path contains "." or ".." as a segment. Send it resolved.'
  const isTrailing = path.length > 1 && path.endsWith('/')
  if (isTrailing && provider.endpointsByPath.match(path) === null) {
    return 'The path ends with "/". Send it without.'
  }
  return null
}

/** Whoever decodes the opened escapes first must come to the same endpoint, or to none. */
function findOtherFault(path: string, endpoint: Endpoint, provider: Provider): string | null {
  for (const reading of otherReadings(path, endpoint)) {
    const fault = findSegmentFault(reading, provider)
    if (fault !== null) return `Once decoded: ${fault}`
    const other = provider.endpointsByPath.match(reading)?.value ?? endpoint
    if (other !== endpoint || closedPrefixOf(reading, provider) !== undefined) {
      return `The path leads to "${endpoint.name}", and once decoded to another place.`
    }
  }
  return null
}

/** Only called without escaped dots: those have been refused. */
function hasDotSegment(path: string): boolean {
  for (let at = path.indexOf('/.'); at !== -1; at = path.indexOf('/.', at + 1)) {
    const end = path.charCodeAt(at + 2) === 0x2e ? at + 3 : at + 2
    if (end === path.length || path[end] === '/') return true
  }
  return false
}

function findQueryFault(query: string | null): string | null {
  const fault = query && findFault(query, queryRules)
  return fault ? describe(fault, query, 'query') : null
}

function describe({ at, what }: Fault, text: string, part: 'path' | 'query'): string {
  const escaped = JSON.stringify(text.slice(at, at + 3))
  switch (what) {
    case 'raw':
      return `The ${part} contains ${JSON.stringify(text[at])} at position ${at}, which may not stand there as it is.`
    case 'escape':
      return `The ${part} contains ${escaped} at position ${at}, which is no valid escape.`
    case 'escaped':
      return `The ${part} contains ${escaped} at position ${at}, which servers read in two ways. Send letters, digits, "-", ".", "_" and "~" unescaped, and no escaped separators or controls.`
    case 'utf8':
      return `The ${part} contains escapes at position ${at} that are no UTF-8.`
  }
}

function refuseClosed(path: string, provider: Provider): Refusal | null {
  const closed = closedPrefixOf(path, provider)
  if (closed !== undefined) {
    const message = `${closed} is closed at every level: the gateway keeps ${provider.title}'s credentials itself. Call the other paths; the token is added for you.`
    return refuse('forbidden_target', message, { docs: provider.docs })
  }
  if (provider.unknownPaths === 'needs_all' || provider.endpointsByPath.match(path)) return null
  const message = `${path} is no path that ${provider.title} has rules for, and such paths are refused here.`
  return refuse('forbidden_target', message, { docs: provider.docs })
}

function closedPrefixOf(path: string, { closed }: Provider): string | undefined {
  const lower = path.toLowerCase()
  return closed.find((prefix) => lower.startsWith(prefix))
}

function refuseMethod(method: string, provider: Provider): Refusal | null {
  if (provider.methods.has(method)) return null
  const known = [...provider.methods].join(', ')
  return refuse('method_not_allowed', `Use one of ${known}.`)
}

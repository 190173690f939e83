import type { Provider } from '../catalog/provider.ts'

/**
 * The URLs in an answer's headers that a client would follow. Those of the provider lead through
 * the gateway; all others are dropped. A client that follows a link takes its operation token
 * along, which is no stranger's business, and an URL elsewhere may be a signed one: a credential.
 */

/** Where an answer comes from, and how the agent reaches that place. */
export type Place = {
  readonly provider: Provider
  /** Without a trailing slash. */
  readonly publicUrl: string
  /** What the agent called, below `/p/<provider>`. */
  readonly calledPath: string
  /** What was sent: origin and path, which relative URLs start from. */
  readonly sentTo: string
}

type Rewrite = (value: string, place: Place) => string | null

/** By header: the value for the agent, or null when it is left out. */
export const rewrites: ReadonlyMap<string, Rewrite> = new Map([
  ['link', rewriteLinks],
  ['location', rewriteUrl],
  ['content-location', rewriteUrl],
])

function rewriteUrl(value: string, place: Place): string | null {
  const url = ownUrl(value, place)
  return url && reachedAt(place, url.pathname, url.search)
}

const token = "[\\w!#$%&'*+.^`|~-]+"
const parameter = `[ \\t]*;[ \\t]*${token}(?:[ \\t]*=[ \\t]*(?:"(?:[^"\\\\]|\\\\.)*"|${token}))?`
/** One link of RFC 8288, section 3, with the comma behind it. */
const link = new RegExp(`[ \\t]*<([^<>]*)>((?:${parameter})*)[ \\t]*(?:,|$)`, 'y')

/** Link by link. A header that does not keep to the grammar cannot be judged and is left out. */
function rewriteLinks(value: string, place: Place): string | null {
  const kept: string[] = []
  link.lastIndex = 0
  while (link.lastIndex < value.length) {
    const found = link.exec(value)
    if (!found) return null
    const [, target = '', parameters = ''] = found
    const url = ownUrl(target, place)
    if (url) kept.push(`<${linkedUrl(url, parameters, place)}>${parameters}`)
  }
  return kept.length === 0 ? null : kept.join(', ')
}

const pages = new Set(['first', 'last', 'next', 'prev', 'previous'])
const relation = /;[ \t]*rel[ \t]*=[ \t]*(?:"([^"]*)"|([^ \t;]+))/i

function linkedUrl({ pathname, search }: URL, parameters: string, place: Place): string {
  const [, quoted, bare] = relation.exec(parameters) ?? []
  const relations = (quoted ?? bare ?? '').toLowerCase().split(/[ \t]+/)
  const isPage = relations.every((each) => pages.has(each))
  const keepsPath = isPage && place.provider.linkPath === 'called'
  return reachedAt(place, keepsPath ? place.calledPath : pathname, search)
}

/** The URL, when what stands behind `/p/<provider>` would lead to exactly this origin. */
function ownUrl(text: string, { provider, sentTo }: Place): URL | null {
  const url = URL.parse(text, sentTo)
  if (url === null || url.username + url.password !== '') return null
  const origin = provider.endpointsByPath.match(url.pathname)?.value.origin ?? provider.origin
  return url.origin === origin ? url : null
}

const reachedAt = ({ publicUrl, provider }: Place, path: string, search: string): string =>
  `${publicUrl}/p/${provider.name}${path}${search}`

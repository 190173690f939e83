import type { Endpoint, Escape, SegmentEscapes } from '../catalog/endpoint.ts'
import { charSet, type Fault, findFault, type PercentRules } from './percent.ts'

/**
 * Escapes that a provider file opts a capture in to (`escapes`), such as the slash in
 * `contents/docs%2Fa.md`. The path stays as it came; what is made here is only looked at.
 */

/** The first fault in `path` that the endpoint's captures are not opted in to; null for none. */
export function findUnopened(
  path: string,
  { bySegment, below }: SegmentEscapes,
  rules: PercentRules,
): Fault | null {
  let start = 1
  for (const [index, segment] of segmentsOf(path).entries()) {
    const end = start + segment.length
    const fault = findFault(path, widened(rules, bySegment[index] ?? below), start, end)
    if (fault) return fault
    start = end + 1
  }
  return null
}

function widened({ raw, escaped }: PercentRules, opened: ReadonlySet<Escape>): PercentRules {
  const codes = new Set([...opened].map((text) => Number.parseInt(text.slice(1), 16)))
  return {
    raw,
    escaped: charSet((char) => codes.has(char.charCodeAt(0)) || escaped[char.charCodeAt(0)] === 1),
  }
}

/**
 * What `path` is to servers that decode the opened escapes before they take a path apart: the
 * whole of it, and what is left where a decoded `?` or `#` ends it.
 */
export function otherReadings(path: string, { escapes }: Endpoint): readonly string[] {
  const segments = segmentsOf(path).map((segment, index) => {
    const opened = escapes?.bySegment[index] ?? escapes?.below
    return segment.replace(/%[0-9a-f]{2}/gi, (text) =>
      opened?.has(text.toUpperCase() as Escape) ? decodeURIComponent(text) : text,
    )
  })
  const whole = `/${segments.join('/')}`
  const end = whole.search(/[?#]/)
  return end === -1 ? [whole] : [whole, whole.slice(0, end)]
}

const segmentsOf = (path: string): string[] => path.split('/').slice(1)

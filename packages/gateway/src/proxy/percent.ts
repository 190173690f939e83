/**
 * Percent-encoding, read strictly: which characters may stand raw, which may be escaped, and
 * whether the escapes are UTF-8 (RFC 3986, section 2.1; RFC 3629). One pass, no decoding.
 */

/** Which of the ASCII characters are allowed; true at its code. */
export type CharSet = Uint8Array

export const charSet = (allowed: (char: string) => boolean): CharSet =>
  Uint8Array.from({ length: 128 }, (_, code) => (allowed(String.fromCharCode(code)) ? 1 : 0))

export type PercentRules = {
  /** What may stand there as itself; `%` is always read as an escape. */
  readonly raw: CharSet
  /** What may stand there escaped, below %80. */
  readonly escaped: CharSet
}

export type Fault = {
  readonly at: number
  readonly what: 'raw' | 'escape' | 'escaped' | 'utf8'
}

/** The first fault in `text` from `start` to `end`, or null. */
export function findFault(
  text: string,
  { raw, escaped }: PercentRules,
  start = 0,
  end = text.length,
): Fault | null {
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at)
    if (code !== 0x25) {
      if (code > 127 || raw[code] === 0) return { at, what: 'raw' }
      continue
    }
    const byte = byteAt(text, at, end)
    if (byte < 0) return { at, what: 'escape' }
    if (byte < 0x80) {
      if (escaped[byte] === 0) return { at, what: 'escaped' }
      at += 2
      continue
    }
    const length = sequenceLength(text, at, end)
    if (length === 0) return { at, what: 'utf8' }
    at += 3 * length - 1
  }
  return null
}

/** How many escapes, the one at `at` first, make one character of UTF-8; 0 when they make none. */
function sequenceLength(text: string, at: number, end: number): number {
  const lead = byteAt(text, at, end)
  const length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0
  for (let i = 1; i < length; i++) {
    const next = text.charCodeAt(at + 3 * i) === 0x25 ? byteAt(text, at + 3 * i, end) : -1
    if (next < (i === 1 ? lowestSecond(lead) : 0x80)) return 0
    if (next > (i === 1 ? highestSecond(lead) : 0xbf)) return 0
  }
  return length
}

// RFC 3629, section 4: no overlong forms, no surrogates, nothing above U+10FFFF.
const lowestSecond = (lead: number): number => (lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80)
const highestSecond = (lead: number): number => (lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf)

/** The byte of the escape at `at`; -1 when it is none. */
function byteAt(text: string, at: number, end: number): number {
  if (at + 2 >= end) return -1
  const high = hexDigit(text.charCodeAt(at + 1))
  const low = hexDigit(text.charCodeAt(at + 2))
  return high < 0 || low < 0 ? -1 : high * 16 + low
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const lower = code | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

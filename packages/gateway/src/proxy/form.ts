import { type Refusal, refuse } from '../errors.ts'

/** A decoded parameter. */
export type Parameter = readonly [name: string, value: string]

/**
 * Reads `application/x-www-form-urlencoded` strictly: `+` is a space, every escape is valid and
 * the whole is UTF-8, every piece between two `&` has a name, no raw control characters.
 */
export function readForm(text: string, place: 'query' | 'body'): readonly Parameter[] | Refusal {
  if (text === '') return []
  if (hasControl(text)) {
    return refuse('bad_body', `The ${place} contains a raw control character. Send it escaped.`)
  }
  try {
    return text.split('&').map(readPiece)
  } catch (error) {
    if (!(error instanceof URIError)) throw error
    const message = `The ${place} contains a bad escape or text that is no UTF-8. Encode each name and value once, with the form encoding of UTF-8.`
    return refuse('bad_body', message)
  }
}

function readPiece(piece: string): Parameter {
  const equals = piece.indexOf('=')
  if (equals === -1) return [decode(piece), '']
  return [decode(piece.slice(0, equals)), decode(piece.slice(equals + 1))]
}

/** Throws on a bad escape and on what is no UTF-8. */
function decode(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text
  return spaced.includes('%') ? decodeURIComponent(spaced) : spaced
}

function hasControl(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code < 0x20 || code === 0x7f) return true
  }
  return false
}

/** Writes parameters as the WHATWG URL standard does, which every reader takes alike. */
export const writeForm = (parameters: readonly Parameter[]): string =>
  parameters.map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&')

const encode = (text: string): string =>
  /^[A-Za-z0-9*._-]*$/.test(text)
    ? text
    : encodeURIComponent(text)
        .replaceAll('%20', '+')
        .replace(/[!'()~]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)

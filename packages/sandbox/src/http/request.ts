import type { IncomingMessage } from 'node:http'
import { type Answer, invalidParam, refuse } from '../answer.ts'

export type Params = ReadonlyMap<string, string>

/** What the services read of one HTTP request, wherever its parameters travelled. */
export type ApiRequest = {
  readonly method: string
  /** As sent, never decoded: `/measure/` and `/%6deasure` are other services. */
  readonly path: string
  readonly query: Params
  readonly body: Params
  /** Query and body together. */
  readonly params: Params
  /** Every Authorization header, in order. */
  readonly authorization: readonly string[]
}

export type Parsed =
  | { readonly ok: true; readonly request: ApiRequest }
  | { readonly ok: false; readonly answer: Answer }

/**
 * Reads query, form body and JSON body alike, as the provider does for every action.
 *
 * A parameter given twice with different values is refused: which one the provider obeys is not
 * documented, and a guess here would hide a bug in whoever sent it.
 */
export function parseRequest(message: IncomingMessage, bodyText: string): Parsed {
  const [path, search] = splitOnce(message.url ?? '', '?')
  const query = [...new URLSearchParams(search)]
  const body = message.method === 'POST' ? readBodyParams(message, bodyText) : []
  if (body === null) return { ok: false, answer: refuse(503, 'Invalid Params: invalid JSON body') }
  const params = new Map<string, string>()
  for (const [name, value] of [...query, ...body]) {
    if ((params.get(name) ?? value) !== value) return { ok: false, answer: invalidParam(name) }
    params.set(name, value)
  }
  return {
    ok: true,
    request: {
      method: message.method ?? '',
      path,
      query: new Map(query),
      body: new Map(body),
      params,
      authorization: message.headersDistinct.authorization ?? [],
    },
  }
}

type Pairs = readonly (readonly [string, string])[]

function readBodyParams(message: IncomingMessage, text: string): Pairs | null {
  const [type] = splitOnce(message.headers['content-type'] ?? '', ';')
  switch (type.trim().toLowerCase()) {
    case 'application/x-www-form-urlencoded':
      return [...new URLSearchParams(text)]
    case 'application/json':
      return text.trim() === '' ? [] : readJson(text)
    default:
      return []
  }
}

function readJson(text: string): Pairs | null {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
    return Object.entries(value).flatMap(([name, member]) =>
      member === null
        ? []
        : [[name, typeof member === 'string' ? member : JSON.stringify(member)] as const],
    )
  } catch {
    return null
  }
}

/** Splits at the first mark; without one the second part is empty. */
export function splitOnce(text: string, mark: string): readonly [string, string] {
  const at = text.indexOf(mark)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

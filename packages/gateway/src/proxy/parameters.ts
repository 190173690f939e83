import type { Provider } from '../catalog/provider.ts'
import { looseName } from '../catalog/vocabulary.ts'
import { isRefusal, type Refusal, refuse } from '../errors.ts'
import { type Parameter, readForm } from './form.ts'
import { JsonNumber, type JsonValue, readJson } from './json.ts'

export type AgentBody = { readonly contentType: string | null; readonly bytes: Uint8Array }

/** What the agent sent, merged, by name in lower case. The order is query first, then body. */
export type Sent = ReadonlyMap<string, Parameter>

/**
 * Reads query and body into one list in which every name is there once, fits the provider's
 * pattern and is the agent's to send (CONTRACT.md, "Composing"). Names that differ only in letter
 * case count as the same, since some readers take them so.
 */
export function readParameters(
  query: string | null,
  body: AgentBody | null,
  provider: Provider,
): Sent | Refusal {
  const fromQuery = readForm(query ?? '', 'query')
  if (isRefusal(fromQuery)) return fromQuery
  const fromBody = body && body.bytes.length > 0 ? readBody(body, provider) : []
  if (isRefusal(fromBody)) return fromBody
  const sent = new Map<string, Parameter>()
  for (const parameter of [...fromQuery, ...fromBody]) {
    const key = parameter[0].toLowerCase()
    const refusal = refuseParameter(parameter, provider)
    if (refusal) return refusal
    if (sent.has(key)) return bad(`The parameter ${parameter[0]} is there twice. Send it once.`)
    sent.set(key, parameter)
  }
  return sent
}

function refuseParameter([name, value]: Parameter, provider: Provider): Refusal | null {
  const { names } = provider.parameters
  if (!names.test(name)) {
    return bad(`The parameter name ${shown(name)} does not match ${names.source}.`)
  }
  if (value.includes('\0')) return bad(`The parameter ${name} contains a NUL character.`)
  return refuseName(name, provider)
}

/** Credentials and method overrides are never an agent's to send, however they are spelled. */
function refuseName(name: string, provider: Provider): Refusal | null {
  const loose = looseName(name)
  if (isMethodOverride(loose)) return refuseOverride(`The parameter ${shown(name)}`)
  if (!provider.parameters.forbidden.has(loose)) return null
  const message = `The parameter ${shown(name)} is not yours to send: the gateway adds ${provider.title}'s credentials itself. Leave it out.`
  return refuse('forbidden_parameter', message)
}

const methodOverrides = new Set([
  ...['_method', '_httpmethod', '$httpmethod'],
  ...['x_http_method', 'x_http_method_override', 'x_method_override'],
])

/** Whether some server takes this name, as `looseName` reads it, for another method. */
export const isMethodOverride = (looselyRead: string): boolean => methodOverrides.has(looselyRead)

export const refuseOverride = (subject: string): Refusal =>
  refuse(
    'forbidden_parameter',
    `${subject} would change the method behind the gateway's back. Send the request with the method that you mean.`,
  )

/** For queries that pass untouched: the same refusals, over every way to split and spell them. */
export function refuseQueryNames(query: string, provider: Provider): Refusal | null {
  for (const piece of query.split(/[&;]/)) {
    const name = decodeURIComponent((piece.split('=', 1)[0] ?? '').replaceAll('+', ' '))
    const refusal = refuseName(name, provider)
    if (refusal) return refusal
  }
  return null
}

function readBody(body: AgentBody, provider: Provider): readonly Parameter[] | Refusal {
  const type = readContentType(body.contentType)
  if (isRefusal(type)) return type
  const text = readText(body.bytes)
  if (isRefusal(text)) return text
  return type === 'form' ? readForm(text, 'body') : readJsonParameters(text, provider)
}

function readContentType(contentType: string | null): 'form' | 'json' | Refusal {
  const [type, ...parameters] = (contentType ?? '').toLowerCase().split(';')
  const areUtf8 = parameters.every((each) => /^\s*charset=("utf-8"|utf-8)\s*$/.test(each))
  if (areUtf8 && parameters.length <= 1) {
    if (type?.trim() === 'application/x-www-form-urlencoded') return 'form'
    if (type?.trim() === 'application/json') return 'json'
  }
  const given = contentType === null ? 'no Content-Type' : `the Content-Type ${shown(contentType)}`
  return bad(
    `The body has ${given}. Send application/x-www-form-urlencoded or application/json, in UTF-8.`,
  )
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function readText(bytes: Uint8Array): string | Refusal {
  try {
    return utf8.decode(bytes)
  } catch {
    return bad('The body is no valid UTF-8.')
  }
}

function readJsonParameters(text: string, provider: Provider): readonly Parameter[] | Refusal {
  const json = readJsonBody(text)
  if (isRefusal(json)) return json
  if (!(json instanceof Map)) return bad('The JSON body must be an object of parameters.')
  const parameters: Parameter[] = []
  for (const [name, value] of json) {
    const written = Array.isArray(value)
      ? writeArray(value, provider.parameters.jsonArrays.has(name))
      : writeScalar(value)
    if (written === null) {
      return bad(
        `The parameter ${shown(name)} can't be sent as it is. Values are strings, numbers, booleans or arrays of them; in a comma list no item may contain a comma.`,
      )
    }
    parameters.push([name, written])
  }
  return parameters
}

function readJsonBody(text: string): JsonValue | Refusal {
  try {
    return readJson(text)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    return bad(`The body is no strict JSON: ${error.message}.`)
  }
}

function writeScalar(value: JsonValue): string | null {
  if (typeof value === 'string') return value
  if (typeof value === 'boolean') return String(value)
  return value instanceof JsonNumber ? value.source : null
}

function writeArray(items: readonly JsonValue[], asJson: boolean): string | null {
  const written = items.map((item) =>
    asJson && typeof item === 'string' ? JSON.stringify(item) : writeScalar(item),
  )
  if (written.includes(null)) return null
  if (asJson) return `[${written.join(',')}]`
  return written.some((item) => item?.includes(',')) ? null : written.join(',')
}

/** What the agent wrote, fit for a message: quoted, and not at any length. */
const shown = (text: string): string => JSON.stringify(text.slice(0, 60))

const bad = (message: string): Refusal => refuse('bad_body', message)

import type { TooMany } from '../catalog/limits.ts'

/** A provider's answer, as far as it can say: too many calls. */
export type Said = {
  /** The provider's own: the envelope's where there is one. */
  readonly status: number
  /** Name, value, name, value … */
  readonly rawHeaders: readonly string[]
  /** The whole body where it was held, else null. */
  readonly body: Uint8Array | null
  /** A JSON pointer to the error text; null where there is no envelope. */
  readonly messageAt: string | null
  readonly nowMs: number
}

export type Wait = {
  /** Whether the whole application has to wait, or the same call alone. */
  readonly pauses: boolean
  /** From 1 to `longestWaitSeconds`, whatever the provider said. */
  readonly seconds: number
}

/** An hour: no provider's window is longer, and no garbage may shut an application for longer. */
export const longestWaitSeconds = 3_600

/** What the first fitting entry of the provider file makes of an answer; null when none fits. */
export function readTooMany(entries: readonly TooMany[], said: Said): Wait | null {
  const some = entries.filter(({ status }) => status.has(said.status))
  if (some.length === 0) return null
  const json = parse(said.body)
  const found = some.find((entry) => fits(entry, said, json))
  return found ? { pauses: found.pauses, seconds: secondsOf(found.wait, said, json) } : null
}

function fits({ message, headers }: TooMany, said: Said, json: unknown): boolean {
  if (message !== null) {
    const text = said.messageAt === null ? undefined : at(json, said.messageAt)
    if (typeof text !== 'string' || !text.toLowerCase().includes(message)) return false
  }
  return headers.every(({ name, is }) => {
    const value = headerOf(said.rawHeaders, name)
    return value !== null && (is === null || is === value)
  })
}

function secondsOf(wait: TooMany['wait'], said: Said, json: unknown): number {
  const { secondsAt, header, resetHeader, otherwiseSeconds } = wait
  const given =
    (secondsAt === null ? null : secondsIn(at(json, secondsAt))) ??
    (header === null ? null : retryAfter(headerOf(said.rawHeaders, header), said)) ??
    (resetHeader === null ? null : untilReset(headerOf(said.rawHeaders, resetHeader), said)) ??
    otherwiseSeconds
  return Math.min(longestWaitSeconds, Math.max(1, Math.ceil(given)))
}

/** A number, or a text that is one: no negative, no fraction of a text, no infinity. */
function secondsIn(value: unknown): number | null {
  const number = typeof value === 'string' && /^ *\d{1,15} *$/.test(value) ? Number(value) : value
  return typeof number === 'number' && Number.isFinite(number) && number >= 0 ? number : null
}

/** RFC 9110, section 10.2.3: seconds or a date. */
function retryAfter(value: string | null, said: Said): number | null {
  if (value === null) return null
  return secondsIn(value) ?? until(Date.parse(value), said)
}

function untilReset(value: string | null, said: Said): number | null {
  const seconds = secondsIn(value)
  return seconds === null ? null : until(seconds * 1000, said)
}

/** By the provider's own clock where it tells it: ours may be off. */
function until(momentMs: number, { rawHeaders, nowMs }: Said): number | null {
  if (!Number.isFinite(momentMs)) return null
  const date = Date.parse(headerOf(rawHeaders, 'date') ?? '')
  return Math.max(0, (momentMs - (Number.isFinite(date) ? date : nowMs)) / 1000)
}

/** The value of the first header of this lower-case name; null when there is none. */
export function headerOf(rawHeaders: readonly string[], name: string): string | null {
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() === name) return (rawHeaders[i + 1] as string).trim()
  }
  return null
}

function parse(body: Uint8Array | null): unknown {
  if (body === null) return undefined
  try {
    return JSON.parse(Buffer.from(body).toString('utf8'))
  } catch {
    return undefined
  }
}

/** The member that a JSON pointer leads to; undefined when there is none. */
function at(json: unknown, pointer: string): unknown {
  let here = json
  for (const step of pointer.split('/').slice(1)) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, step)) return undefined
    here = (here as Readonly<Record<string, unknown>>)[step]
  }
  return here
}

import { hash } from 'node:crypto'
import { workspace } from '../words.ts'

/**
 * The bytes of a record, as CONTRACT.md ("Audit") fixes them. Pure: no clock, no randomness.
 */

export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json }

/** Fields that enter the hashed record as salted commitments: erasable, and still verifiable. */
export const privateFields: ReadonlySet<string> = new Set([
  'intent',
  'target',
  'agent_path',
  'request_digest',
  'agent_name',
  'connection_label',
  'owner',
  'error_text',
])

/** Field names are those of CONTRACT.md; a private one is given in clear and committed to here. */
export type RecordFields = { readonly kind: string } & { readonly [field: string]: Json }

/** Where and when a record is written; `n` follows from the writer. */
export type Stamp = {
  readonly node: string
  readonly boot: string
  readonly gatewayVersion: string
  readonly timeMs: number
}

/** A record but for its number: `head`, `n`, `tail` are its canonical JSON. */
export type Draft = {
  readonly head: string
  readonly tail: string
  /** JSON of `{field: {value, salt}}`; null when nothing is private. */
  readonly disclosed: string | null
  readonly kind: string
  readonly timeMs: number
  readonly requestId: string | null
  readonly attemptNo: number | null
  readonly agent: string | null
  /** An outcome will follow. */
  readonly opens: boolean
  /** The number of the attempt that this outcome closes. */
  readonly closes: number | null
}

/** Bytes of salt in front of each private value. */
export const saltBytes = 16

/**
 * RFC 8785 canonical JSON. Numbers are integers only, so that no two writers can disagree on
 * how one is spelled; anything else throws.
 */
export function canonicalJson(value: Json): string {
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new TypeError(`no integer: ${value}`)
    return value === 0 ? '0' : `${value}`
  }
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  const object = value as { readonly [key: string]: Json }
  const members = Object.keys(object)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(object[key] as Json)}`)
  return `{${members.join(',')}}`
}

/** `base64url(SHA-256(salt ‖ 0x00 ‖ field name ‖ 0x00 ‖ UTF-8 value))`, without padding. */
export function commitment(salt: Uint8Array, field: string, value: string): string {
  const text = `\0${field}\0${value}`
  // A UTF-16 unit is at most three bytes of UTF-8: what surely fits is written into one place.
  if (text.length > (scratch.length - saltBytes) / 3) {
    return hash('sha256', Buffer.concat([salt, Buffer.from(text, 'utf8')]), 'base64url')
  }
  scratch.set(salt)
  const size = salt.length + scratch.write(text, salt.length)
  return hash('sha256', scratch.subarray(0, size), 'base64url')
}

const scratch = Buffer.alloc(4096)

/** `SHA-256(0x00 ‖ canonical JSON)`, base64url: the leaf of RFC 6962, section 2.1. */
export function leafHash(body: string): string {
  return hash('sha256', `\0${body}`, 'base64url')
}

/**
 * Fixes everything of a record but its number. Needs one salt of `saltBytes` for each private
 * field with a value, taken from `nextSalt`.
 */
export function draftRecord(fields: RecordFields, stamp: Stamp, nextSalt: () => Uint8Array): Draft {
  const disclosed: string[] = []
  const member = (slot: Slot): string => {
    const value = slot.stamped === null ? (fields[slot.name] as Json) : slot.stamped(stamp)
    if (!slot.isPrivate || value === null) return slot.label + canonicalJson(value)
    if (typeof value !== 'string') throw new TypeError(`private field ${slot.name} is no string`)
    const salt = nextSalt()
    const saltText = Buffer.from(salt).toString('base64url')
    disclosed.push(`${slot.label}{"value":${JSON.stringify(value)},"salt":"${saltText}"}`)
    return `${slot.label}{"sha256":"${commitment(salt, slot.name, value)}"}`
  }
  const { before, after } = shapeOf(fields)
  return {
    head: `{${before.map(member).join(',')},"n":`,
    tail: `,${after.map(member).join(',')}}`,
    disclosed: disclosed.length === 0 ? null : `{${disclosed.join(',')}}`,
    kind: fields.kind,
    timeMs: stamp.timeMs,
    requestId: text(fields.request_id),
    attemptNo: number(fields.attempt_no),
    agent: text(fields.agent),
    opens: fields.kind === 'attempt' && fields.decision === 'allow',
    closes: number(fields.closes),
  }
}

/** A member of a record: its label as JSON, and where its value comes from. */
type Slot = {
  readonly name: string
  readonly label: string
  readonly isPrivate: boolean
  readonly stamped: ((stamp: Stamp) => string) | null
}

/** The members on either side of `n`, each side in canonical order. */
type Shape = { readonly before: readonly Slot[]; readonly after: readonly Slot[] }

const stamped: ReadonlyMap<string, (stamp: Stamp) => string> = new Map([
  ['boot', ({ boot }: Stamp) => boot],
  ['gateway_version', ({ gatewayVersion }: Stamp) => gatewayVersion],
  ['node', ({ node }: Stamp) => node],
  ['time', ({ timeMs }: Stamp) => new Date(timeMs).toISOString()],
  ['workspace', () => workspace],
])

/** Records come in a few shapes: sorting the names of each anew would be the most of a draft. */
const shapes = new Map<string, Shape>()

function shapeOf(fields: RecordFields): Shape {
  const key = Object.keys(fields).join()
  let shape = shapes.get(key)
  if (!shape) {
    const names = new Set([...Object.keys(fields), ...stamped.keys()])
    names.delete('closes')
    const slots = [...names].sort().map(slotOf)
    const isBefore = ({ name }: Slot) => name < 'n'
    shape = { before: slots.filter(isBefore), after: slots.filter((slot) => !isBefore(slot)) }
    // Names come from our own code; should they ever not, they must not pile up for ever.
    if (shapes.size < 200) shapes.set(key, shape)
  }
  return shape
}

const slotOf = (name: string): Slot => ({
  ...{ name, label: `${JSON.stringify(name)}:`, isPrivate: privateFields.has(name) },
  stamped: stamped.get(name) ?? null,
})

const text = (value: Json | undefined) => (typeof value === 'string' ? value : null)
const number = (value: Json | undefined) => (typeof value === 'number' ? value : null)

/** The canonical JSON of a draft that was given its number: what is hashed and stored. */
export const recordBody = (draft: Draft, n: number): string => `${draft.head}${n}${draft.tail}`

/** What an outcome says of a call of which nothing more is known than why it ended. */
export const unfinished = (error: string) => ({
  ...{ status: null, provider_status: null, bytes_in: 0, bytes_out: 0, request_digest: null },
  ...{ duration_ms: null, error },
})

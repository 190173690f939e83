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
  const message = Buffer.concat([salt, Buffer.from(`\0${field}\0${value}`, 'utf8')])
  return hash('sha256', message, 'base64url')
}

/** `SHA-256(0x00 ‖ canonical JSON)`, base64url: the leaf of RFC 6962, section 2.1. */
export function leafHash(body: string): string {
  return hash('sha256', `\0${body}`, 'base64url')
}

/**
 * Fixes everything of a record but its number. Needs one salt of `saltBytes` for each private
 * field with a value, taken from `nextSalt`.
 */
export function draftRecord(fields: RecordFields, stamp: Stamp, nextSalt: () => Uint8Array): Draft {
  const disclosed: Record<string, Json> = {}
  const members: Record<string, string> = {
    boot: JSON.stringify(stamp.boot),
    gateway_version: JSON.stringify(stamp.gatewayVersion),
    node: JSON.stringify(stamp.node),
    time: JSON.stringify(new Date(stamp.timeMs).toISOString()),
    workspace: JSON.stringify(workspace),
  }
  for (const [field, value] of Object.entries(fields)) {
    if (field === 'closes') continue
    if (privateFields.has(field) && value !== null) {
      if (typeof value !== 'string') throw new TypeError(`private field ${field} is no string`)
      const salt = nextSalt()
      members[field] = `{"sha256":"${commitment(salt, field, value)}"}`
      disclosed[field] = { value, salt: Buffer.from(salt).toString('base64url') }
    } else {
      members[field] = canonicalJson(value)
    }
  }
  const names = Object.keys(members).sort()
  const join = (some: readonly string[]) =>
    some.map((name) => `"${name}":${members[name]}`).join(',')
  const before = join(names.filter((name) => name < 'n'))
  const after = join(names.filter((name) => name > 'n'))
  const text = (value: Json | undefined) => (typeof value === 'string' ? value : null)
  const number = (value: Json | undefined) => (typeof value === 'number' ? value : null)
  return {
    head: `{${before},"n":`,
    tail: `,${after}}`,
    disclosed: Object.keys(disclosed).length === 0 ? null : JSON.stringify(disclosed),
    kind: fields.kind,
    timeMs: stamp.timeMs,
    requestId: text(fields.request_id),
    attemptNo: number(fields.attempt_no),
    agent: text(fields.agent),
    opens: fields.kind === 'attempt' && fields.decision === 'allow',
    closes: number(fields.closes),
  }
}

/** The canonical JSON of a draft that was given its number: what is hashed and stored. */
export const recordBody = (draft: Draft, n: number): string => `${draft.head}${n}${draft.tail}`

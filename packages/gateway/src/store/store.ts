import type { CompiledQuery, Kysely } from 'kysely'
import type { Draft, RecordFields } from '../audit/record.ts'
import type { Schema } from './schema.ts'

/**
 * One statement of a write. `mustTouch` makes it a condition: when it changes or returns no row,
 * the whole write is undone. This is how a compare-and-swap, a single use or a free name is
 * asked for.
 */
export type Statement = { readonly query: CompiledQuery; readonly mustTouch?: boolean }

/**
 * What becomes durable together or not at all: state and the records of its change, in one
 * transaction. There is no other way to write.
 */
export type Write = {
  readonly statements?: readonly Statement[]
  readonly records: readonly Draft[]
  /** Refused as `stale` when the policy is no longer of this epoch (P8). */
  readonly ifPolicyEpoch?: number
  /** This write revokes or narrows: it opens a new policy epoch. */
  readonly bumpsPolicy?: boolean
  /** No write of any node is under way beside this one: what it closes gets no late companion. */
  readonly excludesOthers?: boolean
}

export type Row = Readonly<Record<string, unknown>>

export type WriteResult =
  | {
      readonly kind: 'done'
      /** Rows that the statements returned (`returning`), in order. */
      readonly rows: readonly (readonly Row[])[]
      /** The numbers that the records were given, in order. */
      readonly numbers: readonly number[]
      readonly policyEpoch: number
    }
  | { readonly kind: 'stale'; readonly policyEpoch: number }
  /** A statement with `mustTouch` touched nothing; its index. Nothing was written. */
  | { readonly kind: 'unmet'; readonly statement: number }

/** A setting of the database server that puts what was written at risk. */
export type Doubt = {
  readonly setting: string
  readonly value: string
  /** `fail`: a promise is broken. `warn`: it depends on the disk below. */
  readonly state: 'fail' | 'warn'
  readonly message: string
}

export type Store = {
  readonly node: string
  readonly boot: string
  readonly dialect: 'sqlite' | 'postgres'
  /** For reading, and for compiling statements. Writing goes through `write` alone. */
  readonly db: Kysely<Schema>
  /**
   * Resolves once durable (group commit). Throws Malfunction `audit_unavailable` when the
   * database can't be written; then nothing of it was.
   */
  write(write: Write): Promise<WriteResult>
  /** A draft of a record, stamped with this node, boot and the time: pass it to `write`. */
  draft(fields: RecordFields): Draft
  /** The newest policy epoch that this node has seen; every write brings it up to date. */
  policyEpoch(): number
  /** Looks it up in the database: on a node that writes nothing, this is how it becomes known. */
  readPolicyEpoch(): Promise<number>
  /**
   * Writes a record as soon as it can be, and tries until then: for the outcome of an attempt that
   * could not be written. It is left out when the attempt has its outcome after all.
   */
  owe(record: Draft): void
  /** False from a write that the database could not take until the next one that it takes. */
  isWritable(): boolean
  /** Finds out whether it can be written again. Does nothing while all is well. */
  probe(): Promise<void>
  /** Settings of the database under which a promise of ours would be empty. */
  doubts(): Promise<readonly Doubt[]>
  /** Ends after what was begun has become durable. */
  close(): Promise<void>
}

import type { Kysely } from 'kysely'
import type { Json } from '../audit/record.ts'
import { workspace } from '../words.ts'
import type { Schema } from './schema.ts'

/** A place in the log. */
export type Position = { readonly epoch: number; readonly seq: number }

export type LogQuery = {
  readonly order: 'oldest' | 'newest'
  /** Where the page before ended; it is not in this one. */
  readonly after: Position | null
  readonly limit: number
  readonly agent?: string | undefined
  readonly kind?: string | undefined
  /** Milliseconds since the Unix epoch: nothing older. */
  readonly sinceMs?: number | undefined
}

/** A record as it is exported: `epoch`, `seq`, `leaf_hash` and `disclosed` stand outside the hash. */
export type LoggedRecord = Position & {
  readonly leaf_hash: string
  readonly disclosed: { readonly [field: string]: Json }
  readonly [field: string]: Json
}

/** One page of the log: what has its place in it already, in that order. */
export async function listRecords(
  db: Kysely<Schema>,
  { order, after, limit, agent, kind, sinceMs }: LogQuery,
): Promise<readonly LoggedRecord[]> {
  const direction = order === 'oldest' ? 'asc' : 'desc'
  const beyond = order === 'oldest' ? '>' : '<'
  let query = placedRecords(db)
  if (agent !== undefined) query = query.where('record.agent', '=', agent)
  if (kind !== undefined) query = query.where('record.kind', '=', kind)
  if (sinceMs !== undefined) query = query.where('record.time', '>=', sinceMs)
  if (after !== null) {
    query = query.where(({ and, eb, or }) =>
      or([
        eb('sequence.epoch', beyond, after.epoch),
        and([eb('sequence.epoch', '=', after.epoch), eb('sequence.seq', beyond, after.seq)]),
      ]),
    )
  }
  const rows = await query
    .orderBy('sequence.epoch', direction)
    .orderBy('sequence.seq', direction)
    .limit(limit)
    .execute()
  return rows.map(({ epoch, seq, leaf_hash, body, fields }) => ({
    ...{ epoch, seq, leaf_hash },
    ...JSON.parse(body),
    disclosed: fields === null ? {} : JSON.parse(fields),
  }))
}

const placedRecords = (db: Kysely<Schema>) =>
  db
    .selectFrom('sequence')
    .innerJoin('record', (join) =>
      join
        .onRef('record.workspace_id', '=', 'sequence.workspace_id')
        .onRef('record.node', '=', 'sequence.node')
        .onRef('record.boot', '=', 'sequence.boot')
        .onRef('record.n', '=', 'sequence.n'),
    )
    .leftJoin('disclosure', (join) =>
      join
        .onRef('disclosure.workspace_id', '=', 'record.workspace_id')
        .onRef('disclosure.node', '=', 'record.node')
        .onRef('disclosure.boot', '=', 'record.boot')
        .onRef('disclosure.n', '=', 'record.n'),
    )
    .where('sequence.workspace_id', '=', workspace)
    .select([
      'sequence.epoch',
      'sequence.seq',
      'sequence.leaf_hash',
      'record.body',
      'disclosure.fields',
    ])

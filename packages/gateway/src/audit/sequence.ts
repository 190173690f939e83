import { sql } from 'kysely'
import { type Lease, renewal } from '../store/lease.ts'
import type { Store } from '../store/store.ts'
import { workspace } from '../words.ts'

/** Records that get their places in one statement. */
export const batchSize = 5_000

/**
 * Gives records of all boots their places in the log, each boot's in the order of its numbers, and
 * those of different boots by the time that they name. One statement: it holds the row of the
 * lease and renews it for `ttlMs`, so that a late holder places nothing. Resolves to how many were
 * placed, or to null when the lease is not ours any more. On SQLite the writer places a record in
 * the record's own transaction, and there is nothing to do.
 *
 * A boot's places end at its highest sequenced number: its one writer commits numbers in order, so
 * none can appear below it. `top` and `mark` are materialized: read anew for each row, they would
 * step over all the rows that this very statement has inserted.
 */
export async function sequence(
  store: Store,
  { lease, ttlMs }: { readonly lease: Lease; readonly ttlMs: number },
): Promise<number | null> {
  if (store.dialect === 'sqlite') return 0
  const { rows } = await sql<{ held: number; placed: number }>`
    with held as (${renewal(store, lease, ttlMs)} returning fence),
    log as (
      select coalesce(max(epoch), 1) as epoch from sequence where workspace_id = ${workspace}
    ), top as materialized (
      select log.epoch, coalesce((select max(seq) from sequence
        where workspace_id = ${workspace} and sequence.epoch = log.epoch), -1) as seq
      from log
    ), mark as materialized (
      select boot.node, boot.boot, coalesce((select max(sequence.n) from sequence
        where sequence.workspace_id = ${workspace} and sequence.node = boot.node
          and sequence.boot = boot.boot), -1) as n
      from boot where boot.workspace_id = ${workspace} and boot.done_at is null
    ), waiting as (
      select next.*, max(next.time) over (partition by next.node, next.boot order by next.n) as at
      from mark cross join lateral (
        select node, boot, n, leaf_hash, time from record
        where record.workspace_id = ${workspace} and record.node = mark.node
          and record.boot = mark.boot and record.n > mark.n
        order by record.n limit ${batchSize}) next
      where exists (select 1 from held)
    ), placed as (
      insert into sequence (workspace_id, epoch, seq, node, boot, n, leaf_hash)
      select ${workspace}, top.epoch, top.seq + row_number() over (order by at, node, boot, n),
        node, boot, n, leaf_hash
      from waiting cross join top order by at, node, boot, n limit ${batchSize}
      returning 1
    )
    select (select count(*)::int from held) as held, (select count(*)::int from placed) as placed`.execute(
    store.db,
  )
  const [{ held, placed }] = rows as [{ held: number; placed: number }]
  return held === 0 ? null : placed
}

import { sql } from 'kysely'
import type { Store } from '../store/store.ts'
import { type Clock, workspace } from '../words.ts'

/**
 * Gives the attempts of boots that died their outcome, `crashed`: the call may have happened. Only
 * boots of this node, which runs one at a time (the data folder's lock says so). Resolves to how
 * many there were. Called once, after the store is open and before the first call is taken.
 */
export async function closeDeadBoots(store: Store, clock: Clock): Promise<number> {
  const dead = await store.db
    .selectFrom('boot')
    .select(['boot', 'settled'])
    .where('workspace_id', '=', workspace)
    .where('node', '=', store.node)
    .where('boot', '!=', store.boot)
    .where('closed_at', 'is', null)
    .execute()
  let crashed = 0
  for (const { boot, settled } of dead) crashed += await closeBoot(store, { boot, settled, clock })
  return crashed
}

type Dead = { readonly boot: string; readonly settled: number; readonly clock: Clock }

async function closeBoot(store: Store, { boot, settled, clock }: Dead): Promise<number> {
  const open = await openAttempts(store, boot, settled)
  const records = open.map(({ request_id, attempt_no }) =>
    store.draft({
      ...{ kind: 'outcome', request_id, attempt_no, status: null, provider_status: null },
      ...{ bytes_in: 0, bytes_out: 0, request_digest: null, duration_ms: null, error: 'crashed' },
    }),
  )
  await store.write({
    statements: [{ query: closing(store, boot, clock()), mustTouch: true }],
    records,
  })
  return open.length
}

/** Attempts from `settled` on that no outcome of the same boot names. */
const openAttempts = (store: Store, boot: string, settled: number) =>
  store.db
    .selectFrom('record as attempt')
    .select(['request_id', 'attempt_no'])
    .where('workspace_id', '=', workspace)
    .where('node', '=', store.node)
    .where('boot', '=', boot)
    .where('n', '>=', settled)
    .where('opens', '=', 1)
    .where((where) =>
      where.not(
        where.exists(
          where
            .selectFrom('record as outcome')
            .select(sql`1`.as('one'))
            .whereRef('outcome.workspace_id', '=', 'attempt.workspace_id')
            .whereRef('outcome.node', '=', 'attempt.node')
            .whereRef('outcome.boot', '=', 'attempt.boot')
            .whereRef('outcome.n', '>', 'attempt.n')
            .whereRef('outcome.closes', '=', 'attempt.n'),
        ),
      ),
    )
    .orderBy('n')
    .execute()

const closing = (store: Store, boot: string, now: number) =>
  store.db
    .updateTable('boot')
    .set({ closed_at: now })
    .where('workspace_id', '=', workspace)
    .where('node', '=', store.node)
    .where('boot', '=', boot)
    .where('closed_at', 'is', null)
    .compile()

/** Marks this boot as ended in good order. */
export async function closeOwnBoot(store: Store, clock: Clock): Promise<void> {
  await store.write({
    statements: [{ query: closing(store, store.boot, clock()) }],
    records: [],
  })
}

/**
 * Gives the records of all boots their place in the log, in the order in which each boot numbered
 * them. On SQLite the writer does it in the record's own transaction; on PostgreSQL one node at a
 * time does, under an advisory lock that ends with its transaction. Resolves to how many were
 * placed.
 */
export async function sequence(store: Store): Promise<number> {
  if (store.dialect === 'sqlite') return 0
  const result = await sql<{ placed: number }>`
    with held as materialized (
      select pg_try_advisory_xact_lock(${sequencerLock}) as mine
    ), top as (
      select e.epoch, coalesce(
        (select max(s.seq) from sequence s where s.workspace_id = ${workspace} and s.epoch = e.epoch),
        -1) as seq
      from (select coalesce(max(epoch), 1) as epoch from sequence
            where workspace_id = ${workspace}) e
    ), waiting as (
      select r.node, r.boot, r.n, r.leaf_hash, row_number() over (order by r.node, r.boot, r.n) as place
      from record r
      where (select mine from held) and r.workspace_id = ${workspace} and not exists (
        select 1 from sequence s where s.workspace_id = r.workspace_id and s.node = r.node
          and s.boot = r.boot and s.n = r.n)
      limit 5000
    ), placed as (
      insert into sequence (workspace_id, epoch, seq, node, boot, n, leaf_hash)
      select ${workspace}, top.epoch, top.seq + waiting.place, node, boot, n, leaf_hash
      from waiting, top returning 1
    ) select count(*)::int as placed from placed`.execute(store.db)
  return Number(result.rows[0]?.placed ?? 0)
}

const sequencerLock = 0x6f6b7371

import { type RawBuilder, sql } from 'kysely'
import { workspace } from '../words.ts'
import { databaseTime } from './database-time.ts'
import type { Statement, Store } from './store.ts'

/**
 * A named, expiring right to do something alone across nodes. It expires by the database's clock.
 * `fence` grows with every term: what a late holder still writes is refused by it, in the very
 * transaction that would write it (`whileHeld`).
 */
export type Lease = { readonly name: string; readonly fence: number }

type Place = Pick<Store, 'db' | 'dialect' | 'node' | 'boot'>

/** Begins a term of `ttlMs`, or gives null while another one runs, be it this boot's own. */
export async function takeLease(
  store: Place,
  { name, ttlMs }: { readonly name: string; readonly ttlMs: number },
): Promise<Lease | null> {
  // Looked at first: whoever finds it taken locks nothing.
  if (await isTaken(store, name)) return null
  const now = databaseTime(store)
  const { rows } = await sql<{ fence: number }>`
    insert into lease (workspace_id, name, holder, fence, expires_at)
    values (${workspace}, ${name}, ${holderOf(store)}, 1, ${now} + ${ttlMs})
    on conflict (workspace_id, name) do update set holder = excluded.holder,
      fence = lease.fence + 1, expires_at = excluded.expires_at
    where lease.expires_at <= ${now}
    returning fence`.execute(store.db)
  const fence = rows[0]?.fence
  return fence === undefined ? null : { name, fence: Number(fence) }
}

async function isTaken(store: Place, name: string): Promise<boolean> {
  const { rows } = await sql`select 1 as one from lease where workspace_id = ${workspace}
    and name = ${name} and expires_at > ${databaseTime(store)}`.execute(store.db)
  return rows.length > 0
}

/** Ends a term before its time, unless another one has begun. */
export async function releaseLease(store: Place, lease: Lease): Promise<void> {
  await sql`update lease set expires_at = 0 where ${isHeld(store, lease)}`.execute(store.db)
}

/** Ends whatever terms a boot has left behind. */
export const releaseLeasesOf = (store: Place, boot: Pick<Store, 'node' | 'boot'>): Statement => ({
  query: sql`update lease set expires_at = 0 where workspace_id = ${workspace}
    and holder = ${holderOf(boot)}`.compile(store.db),
})

/** A condition of a write: it stands only while this term runs. */
export const whileHeld = (store: Place, lease: Lease): Statement => ({
  query: sql`update lease set holder = holder where ${isHeld(store, lease)}`.compile(store.db),
  mustTouch: true,
})

/** Makes a term last `ttlMs` from now on; for the `where` and `update` of a fenced statement. */
export const renewal = (store: Place, lease: Lease, ttlMs: number): RawBuilder<unknown> =>
  sql`update lease set expires_at = ${databaseTime(store)} + ${ttlMs} where ${isHeld(store, lease)}`

/** That this term runs, as a condition on the row of the table `lease`. */
const isHeld = (store: Place, { name, fence }: Lease): RawBuilder<unknown> =>
  sql`workspace_id = ${workspace} and name = ${name} and holder = ${holderOf(store)}
    and fence = ${fence} and expires_at > ${databaseTime(store)}`

const holderOf = ({ node, boot }: Pick<Store, 'node' | 'boot'>): string => `${node}/${boot}`

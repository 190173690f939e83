import { sql } from 'kysely'
import { databaseTime } from '../store/database-time.ts'
import { type Lease, releaseLeasesOf, whileHeld } from '../store/lease.ts'
import type { BootRow } from '../store/schema.ts'
import type { Statement, Store } from '../store/store.ts'
import { workspace } from '../words.ts'
import { unfinished } from './record.ts'

/**
 * The end of boots. A boot is first closed: from then on the database takes no write of it. Then
 * its attempts without an outcome get one, `crashed`: the call may have happened. Whoever does
 * that holds a lease, or has the data folder for itself (null).
 */

export type Boot = Pick<BootRow, 'node' | 'boot'>

/** Those that are not closed, with their last sign of life. */
export const listRunningBoots = (store: Store): Promise<(Boot & Pick<BootRow, 'seen_at'>)[]> =>
  notDone(store).select(['node', 'boot', 'seen_at']).where('closed_at', 'is', null).execute()

/** Those that are closed, and whose attempts may lack their outcome. */
export const listClosedBoots = (store: Store): Promise<Boot[]> =>
  notDone(store).select(['node', 'boot']).where('closed_at', 'is not', null).execute()

const notDone = (store: Store) =>
  store.db
    .selectFrom('boot')
    .where('workspace_id', '=', workspace)
    .where('done_at', 'is', null)
    .where(({ not, and, eb }) =>
      not(and([eb('node', '=', store.node), eb('boot', '=', store.boot)])),
    )

/** A sign of life of this boot. */
export async function keepAlive(store: Store): Promise<void> {
  await only(store, store)
    .set({ seen_at: databaseTime(store) })
    .where('closed_at', 'is', null)
    .execute()
}

/** Marks this boot as ended in good order. Nothing can be written under it afterwards. */
export async function closeOwnBoot(store: Store): Promise<void> {
  await store.write({
    statements: [closing(store, store), releaseLeasesOf(store, store)],
    records: [],
  })
}

/** Whether it was closed here and now. What it was just writing is undone, or stands before. */
export async function closeBoot(store: Store, boot: Boot, lease: Lease | null): Promise<boolean> {
  const { kind } = await store.write({
    statements: [
      ...(lease ? [whileHeld(store, lease)] : []),
      closing(store, boot),
      releaseLeasesOf(store, boot),
    ],
    records: [],
    excludesOthers: true,
  })
  return kind === 'done'
}

/** Gives the attempts of a closed boot their outcome, once. Resolves to how many there were. */
export async function finishBoot(store: Store, boot: Boot, lease: Lease | null): Promise<number> {
  const open = await listOpenAttempts(store, boot)
  const records = open.map(({ request_id, attempt_no }) =>
    store.draft({ kind: 'outcome', request_id, attempt_no, ...unfinished('crashed') }),
  )
  const { kind } = await store.write({
    statements: [...(lease ? [whileHeld(store, lease)] : []), finishing(store, boot)],
    records,
  })
  return kind === 'done' ? open.length : 0
}

/** The embedded database is this process's alone: what ran on it before is dead. */
export async function closeDeadBoots(store: Store): Promise<number> {
  let crashed = 0
  for (const boot of await listRunningBoots(store)) await closeBoot(store, boot, null)
  for (const boot of await listClosedBoots(store)) crashed += await finishBoot(store, boot, null)
  return crashed
}

/** Reads what its mark does not vouch for: a few hundred records, however long the boot was. */
async function listOpenAttempts(store: Store, boot: Boot) {
  const { settled, open_attempts } = await store.db
    .selectFrom('boot')
    .select(['settled', 'open_attempts'])
    .where('workspace_id', '=', workspace)
    .where('node', '=', boot.node)
    .where('boot', '=', boot.boot)
    .executeTakeFirstOrThrow()
  const openAtMark: readonly number[] = JSON.parse(open_attempts)
  const later = await recordsOf(store, boot).where('n', '>=', settled).execute()
  const earlier: typeof later = []
  for (const n of openAtMark)
    earlier.push(...(await recordsOf(store, boot).where('n', '=', n).execute()))
  const closed = new Set(later.map(({ closes }) => closes))
  return [...earlier, ...later].filter(({ n, opens }) => opens === 1 && !closed.has(n))
}

const recordsOf = (store: Store, { node, boot }: Boot) =>
  store.db
    .selectFrom('record')
    .select(['n', 'opens', 'closes', 'request_id', 'attempt_no'])
    .where('workspace_id', '=', workspace)
    .where('node', '=', node)
    .where('boot', '=', boot)
    .orderBy('n')

const only = (store: Store, { node, boot }: Boot) =>
  store.db
    .updateTable('boot')
    .where('workspace_id', '=', workspace)
    .where('node', '=', node)
    .where('boot', '=', boot)

const closing = (store: Store, boot: Boot): Statement => ({
  query: only(store, boot)
    .set({ closed_at: databaseTime(store) })
    .where('closed_at', 'is', null)
    .compile(),
  mustTouch: true,
})

/** Not before all of its records have their places: the sequencer looks at unfinished boots only. */
const finishing = (store: Store, { node, boot }: Boot): Statement => {
  const last = (table: 'record' | 'sequence') => sql`coalesce((select max(n)
    from ${sql.table(table)} where workspace_id = ${workspace} and node = ${node}
    and boot = ${boot}), -1)`
  return {
    query: only(store, { node, boot })
      .set({ done_at: databaseTime(store) })
      .where('closed_at', 'is not', null)
      .where('done_at', 'is', null)
      .where(sql<boolean>`${last('record')} = ${last('sequence')}`)
      .compile(),
    mustTouch: true,
  }
}

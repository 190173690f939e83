import { type RawBuilder, sql } from 'kysely'
import type { Store } from './store.ts'

/**
 * Now, in milliseconds since the Unix epoch, by the database's clock: the one clock that all nodes
 * agree on. It goes on inside a transaction.
 */
export const databaseTime = ({ dialect }: Pick<Store, 'dialect'>): RawBuilder<number> =>
  dialect === 'sqlite'
    ? sql`cast(unixepoch('subsec') * 1000 as integer)`
    : sql`cast(extract(epoch from clock_timestamp()) * 1000 as bigint)`

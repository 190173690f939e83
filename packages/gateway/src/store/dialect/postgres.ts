import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import { workspace } from '../../words.ts'
import { type Connection, commitGroup, type Numbered, type Numbering } from '../commit.ts'
import type { Schema } from '../schema.ts'
import type { Row } from '../store.ts'
import { type Database, unreadable } from './database.ts'

/** Advisory lock of a workspace's policy: shared by writers, exclusive for a new policy epoch. */
const policyLock = 0x6f6b6f72

/** int8 as number: no count or time of ours comes near 2^53. */
const types = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    oid === pg.types.builtins.INT8 ? Number : pg.types.getTypeParser(oid, format as 'text'),
}

/**
 * Opens a PostgreSQL database. Reads use a pool; all writes of this boot go through one
 * connection of their own, which is made anew when it is lost.
 */
export function openPostgres(url: string): Database {
  const pool = new pg.Pool({ connectionString: url, max: 8, types, connectionTimeoutMillis: 5_000 })
  // An idle connection that breaks is replaced at the next use; without a listener it would throw.
  pool.on('error', () => {})
  const numbering: Numbering = { next: 0, open: new Set(), settled: 0 }
  let boot = { node: '', boot: '' }
  let client: pg.Client | null = null

  const connect = async (): Promise<pg.Client> => {
    const fresh = new pg.Client({ connectionString: url, types, connectionTimeoutMillis: 5_000 })
    fresh.on('error', () => {
      if (client === fresh) client = null
    })
    await fresh.connect()
    // After a lost connection it is unknown whether the last commit stood: the table knows.
    const { rows } = await fresh.query<{ next: number }>(
      `select coalesce(max(n), -1) + 1 as next from record
       where workspace_id = $1 and node = $2 and boot = $3`,
      [workspace, boot.node, boot.boot],
    )
    numbering.next = rows[0]?.next ?? 0
    return fresh
  }

  return {
    db: new Kysely<Schema>({ dialect: new PostgresDialect({ pool: reachable(pool) }) }),
    startBoot: async (started) => {
      boot = started
    },
    commit: async (group) => {
      client ??= await connect()
      const used = client
      try {
        return await commitGroup(group, createConnection(used, boot), numbering)
      } catch (error) {
        if (client === used) client = null
        await used.end().catch(() => {})
        throw error
      }
    },
    close: async () => {
      await client?.end()
      await pool.end()
    },
  }
}

/** The pool, with its failures told as ours. */
const reachable = (pool: pg.Pool) => ({
  connect: () =>
    pool.connect().catch((cause: unknown) => {
      throw unreadable(cause)
    }),
  end: () => pool.end(),
  options: pool.options,
})

function createConnection(
  client: pg.Client,
  boot: { readonly node: string; readonly boot: string },
): Connection {
  const exec = async (sql: string) => void (await client.query(sql))
  const savepoints = {
    set: 'savepoint one',
    release: 'release savepoint one',
    undo: 'rollback to savepoint one; release savepoint one',
  }
  return {
    begin: (lock) =>
      exec(
        `begin; select pg_advisory_xact_lock${lock === 'shared' ? '_shared' : ''}(${policyLock})`,
      ),
    // A statement of its own: under READ COMMITTED it sees what the lock waited for.
    readPolicyEpoch: async () => {
      const { rows } = await client.query<{ epoch: number }>(
        'select epoch from policy where workspace_id = $1',
        [workspace],
      )
      return rows[0]?.epoch ?? 0
    },
    bumpPolicyEpoch: async () =>
      void (await client.query('update policy set epoch = epoch + 1 where workspace_id = $1', [
        workspace,
      ])),
    run: async (sql, parameters) => {
      const { rows, rowCount } = await client.query<Row>(sql, [...parameters])
      return { rows, count: rowCount ?? 0 }
    },
    savepoint: (step) => exec(savepoints[step]),
    insertRecords: async (records, settled) => {
      if (records.length > 0) await insertRecords(client, boot, records)
      if (settled === null) return
      await client.query(
        'update boot set settled = $1 where workspace_id = $2 and node = $3 and boot = $4',
        [settled, workspace, boot.node, boot.boot],
      )
    },
    commit: () => exec('commit'),
    // When the connection is gone, so is the transaction.
    rollback: () => exec('rollback').catch(() => {}),
  }
}

async function insertRecords(
  client: pg.Client,
  boot: { readonly node: string; readonly boot: string },
  records: readonly Numbered[],
): Promise<void> {
  const column = <Value>(pick: (record: Numbered) => Value) => records.map(pick)
  await client.query({
    name: 'insert-records',
    text: `with given as (
        select * from unnest($4::bigint[], $5::text[], $6::bigint[], $7::text[], $8::int[],
          $9::text[], $10::int[], $11::bigint[], $12::text[], $13::text[], $14::text[])
          as given (n, kind, time, request_id, attempt_no, agent, opens, closes, leaf_hash, body,
            fields)
      ), disclosed as (
        insert into disclosure (workspace_id, node, boot, n, fields)
        select $1, $2, $3, n, fields from given where fields is not null
      )
      insert into record (workspace_id, node, boot, n, kind, time, request_id, attempt_no, agent,
        opens, closes, leaf_hash, body)
      select $1, $2, $3, n, kind, time, request_id, attempt_no, agent, opens, closes, leaf_hash,
        body from given`,
    values: [
      ...[workspace, boot.node, boot.boot],
      column(({ n }) => n),
      column(({ draft }) => draft.kind),
      column(({ draft }) => draft.timeMs),
      column(({ draft }) => draft.requestId),
      column(({ draft }) => draft.attemptNo),
      column(({ draft }) => draft.agent),
      column(({ draft }) => (draft.opens ? 1 : 0)),
      column(({ draft }) => draft.closes),
      column(({ leafHash }) => leafHash),
      column(({ body }) => body),
      column(({ draft }) => draft.disclosed),
    ],
  })
}

import pg from 'pg'
import { workspace } from '../../words.ts'
import { type Connection, LostCommit, type Mark, type Numbered } from '../commit.ts'
import type { Row } from '../store.ts'
import { type Boot, BootClosed } from './database.ts'
import { isOutage } from './postgres-session.ts'

/** Advisory lock of a workspace's policy: shared by writers, exclusive for who must be alone. */
export const policyLock = 0x6f6b6f72

/** A writer's session, as `commitGroup` wants it. */
export function createConnection(client: pg.Client, boot: Boot): Connection {
  const exec = async (sql: string) => void (await client.query(sql))
  const savepoints = {
    set: 'savepoint one',
    release: 'release savepoint one',
    undo: 'rollback to savepoint one; release savepoint one',
  }
  const begin = {
    shared: beginSql('pg_advisory_xact_lock_shared', boot),
    exclusive: beginSql('pg_advisory_xact_lock', boot),
  }
  return {
    begin: async (lock) => {
      // Several statements in one message give several results; the types know of one.
      const results = (await client.query(begin[lock])) as unknown as pg.QueryResult[]
      const { epoch, closed_at } = results.at(-1)?.rows[0] ?? {}
      if (closed_at !== null) throw new BootClosed()
      return epoch
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
    insertRecords: async (records, mark) => {
      if (records.length > 0) await insertRecords(client, boot, records)
      if (mark !== null) await writeMark(client, boot, mark)
    },
    commit: () =>
      exec('commit').catch((cause) => {
        throw isOutage(cause) ? new LostCommit('', { cause }) : cause
      }),
    // When the connection is gone, so is the transaction.
    rollback: () => exec('rollback').catch(() => {}),
  }
}

/**
 * One message. The last statement is one of its own: under READ COMMITTED it sees what the lock
 * waited for, a new policy epoch or the end of this boot.
 */
function beginSql(lock: string, { node, boot }: Boot): string {
  const [ours, itsNode, itsBoot] = [workspace, node, boot].map(pg.escapeLiteral)
  return `begin; select ${lock}(${policyLock});
    select policy.epoch, boot.closed_at from policy
    join boot on boot.workspace_id = policy.workspace_id
      and boot.node = ${itsNode} and boot.boot = ${itsBoot}
    where policy.workspace_id = ${ours}`
}

async function writeMark(client: pg.Client, { node, boot }: Boot, mark: Mark): Promise<void> {
  await client.query(
    `update boot set settled = $1, open_attempts = $2
     where workspace_id = $3 and node = $4 and boot = $5`,
    [mark.settled, JSON.stringify(mark.open), workspace, node, boot],
  )
}

async function insertRecords(
  client: pg.Client,
  boot: Boot,
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

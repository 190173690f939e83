import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import { workspace } from '../../words.ts'
import {
  type Connection,
  commitGroup,
  type Numbered,
  type Numbering,
  type Touched,
} from '../commit.ts'
import type { Row } from '../store.ts'
import type { Boot } from './database.ts'
import { isFsyncFailure } from './fsync-failure.ts'
import { unwrapWrites, wrapResults } from './parcel.ts'
import type { Answer, Ask } from './sqlite.ts'

/**
 * The only place that touches the SQLite file. Here the one process is also the sequencer: a
 * record gets its place in the log in the same transaction.
 */

type Value = null | number | string | Uint8Array

const { path } = workerData as { path: string }
const database = new DatabaseSync(path)
// FULL: a commit returns after fsync, or P1 would be a wish. Checkpoints are ours, since SQLite
// keeps quiet about what went wrong in its own, a failed fsync included. Nothing may need /tmp.
database.exec(`pragma busy_timeout = 5000; pragma journal_mode = wal; pragma synchronous = full;
  pragma wal_autocheckpoint = 0; pragma temp_store = memory`)

// What a failed fsync of the run before may have left in memory alone is written once more, into
// the database; from here on the log begins anew.
database.exec('pragma wal_checkpoint(truncate)')

/** Pages in the write-ahead log from which on they are carried over into the database. */
const checkpointPages = 1000
let duePages = checkpointPages
/** Looking costs more than a small commit does, so it is done once for so many of them. */
const commitsToALook = 16
let unseenCommits = 0

/**
 * Carries the log over when it is long enough. Everything stays in the log until that is durable,
 * so a disk without room for it costs nothing: it is tried again when the log has grown. A failed
 * fsync is thrown.
 */
function checkpointIfDue(): void {
  unseenCommits += 1
  if (unseenCommits < commitsToALook) return
  unseenCommits = 0
  const { log, checkpointed } = one('pragma wal_checkpoint(noop)')
  const pages = Number(log) - Number(checkpointed)
  if (pages < duePages) return
  duePages = pages + checkpointPages
  try {
    const { busy } = one('pragma wal_checkpoint(passive)')
    if (busy === 0) duePages = checkpointPages
  } catch (error) {
    if (isFsyncFailure(error)) throw error
  }
}

const prepared = new Map<string, StatementSync>()

function prepare(sql: string): StatementSync {
  let statement = prepared.get(sql)
  if (!statement) {
    statement = database.prepare(sql)
    // Statements of a growing variety (IN lists) must not pile up for ever.
    if (prepared.size < 500) prepared.set(sql, statement)
  }
  return statement
}

function run(sql: string, parameters: readonly unknown[]): Touched {
  const statement = prepare(sql)
  if (statement.columns().length > 0) {
    const rows = statement.all(...(parameters as Value[])) as Row[]
    return { rows, count: rows.length }
  }
  return { rows: [], count: Number(statement.run(...(parameters as Value[])).changes) }
}

const one = (sql: string, ...parameters: Value[]): Row =>
  (prepare(sql).get(...parameters) ?? {}) as Row

function createConnection(boot: Boot): Connection {
  const { node, boot: name } = boot
  const log = one(
    `select coalesce(max(epoch), 1) as epoch from sequence where workspace_id = ?`,
    workspace,
  )
  const epoch = Number(log.epoch)
  const top = one(
    `select coalesce(max(seq), -1) + 1 as next from sequence where workspace_id = ? and epoch = ?`,
    workspace,
    epoch,
  )
  let seq = Number(top.next)
  let given = 0
  const insertRecord = database.prepare(
    `insert into record (workspace_id, node, boot, n, kind, time, request_id, attempt_no, agent,
       opens, closes, leaf_hash, body) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const insertDisclosure = database.prepare(
    'insert into disclosure (workspace_id, node, boot, n, fields) values (?, ?, ?, ?, ?)',
  )
  const insertSequence = database.prepare(
    `insert into sequence (workspace_id, epoch, seq, node, boot, n, leaf_hash)
     values (?, ?, ?, ?, ?, ?, ?)`,
  )
  const insert = ({ draft, n, body, leafHash }: Numbered) => {
    const { kind, timeMs, requestId, attemptNo, agent, opens, closes, disclosed } = draft
    insertRecord.run(
      ...[workspace, node, name, n, kind, timeMs, requestId, attemptNo, agent],
      ...[opens ? 1 : 0, closes, leafHash, body],
    )
    if (disclosed !== null) insertDisclosure.run(workspace, node, name, n, disclosed)
    insertSequence.run(workspace, epoch, seq + given, node, name, n, leafHash)
    given += 1
  }
  const savepoints = {
    set: 'savepoint one',
    release: 'release one',
    undo: 'rollback to one; release one',
  }
  return {
    // One process, one connection: the transaction itself is the policy lock.
    begin: () => {
      given = 0
      database.exec('begin immediate')
      return Number(one('select epoch from policy where workspace_id = ?', workspace).epoch)
    },
    bumpPolicyEpoch: () => {
      run('update policy set epoch = epoch + 1 where workspace_id = ?', [workspace])
    },
    run,
    savepoint: (step) => database.exec(savepoints[step]),
    insertRecords: (records, mark) => {
      for (const record of records) insert(record)
      if (mark === null) return
      run(
        `update boot set settled = ?, open_attempts = ?
         where workspace_id = ? and node = ? and boot = ?`,
        [mark.settled, JSON.stringify(mark.open), workspace, node, name],
      )
    },
    commit: () => {
      database.exec('commit')
      seq += given
    },
    // A full disk makes SQLite roll back by itself.
    rollback: () => {
      if (database.isTransaction) database.exec('rollback')
    },
  }
}

let connection: Connection | null = null
const numbering: Numbering = { next: 0, open: new Set(), settled: 0 }

async function answer(ask: Ask): Promise<unknown> {
  switch (ask.kind) {
    case 'query':
      return run(ask.sql, ask.parameters)
    case 'boot':
      connection = createConnection(ask.boot)
      return null
    case 'commit':
      if (!connection) throw new Error('no boot yet')
      return wrapResults(await commitGroup(unwrapWrites(ask.group), connection, numbering))
    case 'close':
      database.close()
      return null
  }
}

parentPort?.on('message', async ({ id, ask }: { id: number; ask: Ask }) => {
  let reply: Answer
  try {
    reply = { id, ok: true, value: await answer(ask) }
  } catch (error) {
    const { message, errcode } = error as { message: string; errcode?: number }
    reply = { id, ok: false, message, errcode: errcode ?? 0 }
  }
  parentPort?.postMessage(reply)
  if (ask.kind === 'close') parentPort?.close()
  // After the answer: nobody waits for it. What it throws ends the worker, and so the process.
  if (ask.kind === 'commit') checkpointIfDue()
})

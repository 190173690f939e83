import { type Draft, leafHash, recordBody } from '../audit/record.ts'
import type { Row, Write, WriteResult } from './store.ts'

/** A write as it crosses into the room that commits it: plain data. */
export type PlainWrite = Omit<Write, 'statements'> & {
  readonly statements: readonly {
    readonly sql: string
    readonly parameters: readonly unknown[]
    readonly mustTouch: boolean
  }[]
}

/** A record with its number, ready to be inserted. */
export type Numbered = {
  readonly draft: Draft
  readonly n: number
  readonly body: string
  readonly leafHash: string
}

/** What a database must offer to commit a group. */
export type Connection = {
  /** Takes the policy lock, and only then reads the policy epoch, which it gives. */
  begin(policyLock: 'shared' | 'exclusive'): number | Promise<number>
  bumpPolicyEpoch(): void | Promise<void>
  run(sql: string, parameters: readonly unknown[]): Touched | Promise<Touched>
  savepoint(step: 'set' | 'release' | 'undo'): void | Promise<void>
  insertRecords(records: readonly Numbered[], mark: Mark | null): void | Promise<void>
  /** Throws LostCommit when nobody told whether it stands. */
  commit(): void | Promise<void>
  rollback(): void | Promise<void>
}

export type Touched = { readonly rows: readonly Row[]; readonly count: number }

/** A boot's numbering and its attempts that have no outcome yet, oldest first. */
export type Numbering = { next: number; readonly open: Set<number>; settled: number }

/** Every attempt numbered below `settled` has its outcome, but those of `open`. */
export type Mark = { readonly settled: number; readonly open: readonly number[] }

/** The connection was lost while a commit was under way. */
export class LostCommit extends Error {}

/** A group of which nobody knows yet whether it stands. `stand` makes it so, once that is known. */
export class InDoubt extends Error {
  readonly records: readonly Numbered[]
  readonly stand: () => readonly (WriteResult | Failed)[]

  constructor(records: readonly Numbered[], stand: InDoubt['stand'], options: ErrorOptions) {
    super('the connection was lost while the group was committed', options)
    this.records = records
    this.stand = stand
  }
}

/** A write that the database itself refused; the others of its group stand. */
export type Failed = { readonly kind: 'failed'; readonly message: string }

/** How far `settled` may lie behind before it is written again: what a crash costs to re-read. */
const settledEvery = 512

/**
 * Commits a group of writes in one transaction, in order. Each write stands or falls alone;
 * numbers are given only after the policy epoch was read under its lock, and given back when the
 * transaction fails. Throws what the database threw; then nothing of the group was written. The
 * one exception is InDoubt, thrown when a commit got no answer.
 */
export async function commitGroup(
  group: readonly PlainWrite[],
  connection: Connection,
  numbering: Numbering,
): Promise<readonly (WriteResult | Failed)[]> {
  const records: Numbered[] = []
  const results: (WriteResult | Failed)[] = []
  let mark: Mark | null = null
  const stand = () => {
    accept(records, numbering)
    if (mark) numbering.settled = mark.settled
    return results
  }
  try {
    let epoch = await connection.begin(group.some(isAlone) ? 'exclusive' : 'shared')
    for (const write of group) {
      const result = await apply(write, connection, epoch)
      if (result.kind === 'done' && write.bumpsPolicy) {
        await connection.bumpPolicyEpoch()
        epoch += 1
      }
      results.push(
        result.kind === 'done'
          ? { ...result, policyEpoch: epoch, numbers: number(write.records, records, numbering) }
          : result,
      )
    }
    mark = markAfter(records, numbering)
    await connection.insertRecords(records, mark)
    await connection.commit()
    return stand()
  } catch (error) {
    await connection.rollback()
    throw error instanceof LostCommit ? new InDoubt(records, stand, { cause: error.cause }) : error
  }
}

const isAlone = ({ bumpsPolicy, excludesOthers }: PlainWrite) => bumpsPolicy || excludesOthers

async function apply(
  write: PlainWrite,
  connection: Connection,
  epoch: number,
): Promise<WriteResult | Failed> {
  if (write.ifPolicyEpoch !== undefined && write.ifPolicyEpoch !== epoch) {
    return { kind: 'stale', policyEpoch: epoch }
  }
  const rows: (readonly Row[])[] = []
  if (write.statements.length > 0) {
    await connection.savepoint('set')
    for (const [index, statement] of write.statements.entries()) {
      const touched = await attempt(statement, connection)
      if ('kind' in touched || (statement.mustTouch && touched.count === 0)) {
        await connection.savepoint('undo')
        return 'kind' in touched ? touched : { kind: 'unmet', statement: index }
      }
      rows.push(touched.rows)
    }
    await connection.savepoint('release')
  }
  return { kind: 'done', rows, numbers: [], policyEpoch: epoch }
}

/** A broken constraint is the write's own failure; anything else (disk, connection) is everyone's. */
async function attempt(
  statement: PlainWrite['statements'][number],
  connection: Connection,
): Promise<Touched | Failed> {
  try {
    return await connection.run(statement.sql, statement.parameters)
  } catch (error) {
    if (!isConstraint(error)) throw error
    return { kind: 'failed', message: error.message }
  }
}

/** SQLITE_CONSTRAINT (19) and its extended codes; SQLSTATE class 23. */
function isConstraint(error: unknown): error is Error {
  if (!(error instanceof Error)) return false
  if ('errcode' in error && typeof error.errcode === 'number') return (error.errcode & 0xff) === 19
  return 'code' in error && typeof error.code === 'string' && error.code.startsWith('23')
}

/** An outcome is written once: of an attempt that has one already it is left out. */
function number(drafts: readonly Draft[], records: Numbered[], numbering: Numbering): number[] {
  const numbers: number[] = []
  for (const draft of drafts) {
    if (draft.closes !== null && !isOpen(draft.closes, records, numbering)) continue
    const n = numbering.next + records.length
    const body = recordBody(draft, n)
    records.push({ draft, n, body, leafHash: leafHash(body) })
    numbers.push(n)
  }
  return numbers
}

const isOpen = (n: number, records: readonly Numbered[], { open }: Numbering): boolean =>
  open.has(n) && !records.some(({ draft }) => draft.closes === n)

/** What is open once these records stand; null while the last mark is new enough. */
function markAfter(records: readonly Numbered[], { next, open, settled }: Numbering): Mark | null {
  const end = next + records.length
  if (end - settled < settledEvery) return null
  const closed = new Set(records.map(({ draft }) => draft.closes))
  const opened = records.filter(({ draft }) => draft.opens).map(({ n }) => n)
  return { settled: end, open: [...open, ...opened].filter((n) => !closed.has(n)) }
}

function accept(records: readonly Numbered[], numbering: Numbering): void {
  numbering.next += records.length
  for (const { draft, n } of records) {
    if (draft.opens) numbering.open.add(n)
    if (draft.closes !== null) numbering.open.delete(draft.closes)
  }
}

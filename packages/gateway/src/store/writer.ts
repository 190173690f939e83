import type { Draft } from '../audit/record.ts'
import { Malfunction } from '../errors.ts'
import type { Failed, PlainWrite } from './commit.ts'
import type { Write, WriteResult } from './store.ts'

/** Commits a group in one transaction; rejects when nothing of it became durable. */
export type CommitGroup = (
  group: readonly PlainWrite[],
) => Promise<readonly (WriteResult | Failed)[]>

export type Writer = {
  write(write: Write): Promise<WriteResult>
  policyEpoch(): number
  /** False from a group that failed until the next one that stands. */
  isWritable(): boolean
  /** Takes note of a policy epoch that was read elsewhere. */
  learn(policyEpoch: number): void
  /** Writes a record as soon as it can be, and tries until then. */
  owe(record: Draft): void
  /** Resolves once everything that was begun is settled. */
  drain(): Promise<void>
}

type Waiting = {
  readonly write: PlainWrite
  readonly resolve: (result: WriteResult) => void
  readonly reject: (error: Error) => void
}

/** More than this in one transaction would make the first wait for the last. */
const groupSize = 512
/** Milliseconds until what is owed is tried again. */
const oweEveryMs = 500

/**
 * Group commit: one transaction is under way at a time, and what arrives meanwhile makes up the
 * next one. A group closes when the turn of the event loop does, so that calls that were read
 * together are committed together; nothing waits on a timer.
 */
export function createWriter(commit: CommitGroup, firstEpoch: number): Writer {
  let waiting: Waiting[] = []
  let epoch = firstEpoch
  let running: Promise<void> | null = null
  let isWritable = true

  const learn = (seen: number) => {
    epoch = Math.max(epoch, seen)
  }

  const settle = (one: Waiting, result: WriteResult | Failed) => {
    if (result.kind === 'failed') {
      one.reject(new Malfunction('conflict', `The database refused the write: ${result.message}`))
      return
    }
    if (result.kind !== 'unmet') learn(result.policyEpoch)
    one.resolve(result)
  }

  const run = async () => {
    while (waiting.length > 0) {
      await turn()
      const group = waiting.slice(0, groupSize)
      waiting = waiting.slice(groupSize)
      try {
        const results = await commit(group.map((one) => one.write))
        isWritable = true
        for (const [index, one] of group.entries()) settle(one, results[index] as WriteResult)
      } catch (error) {
        const failure = unavailable(error)
        isWritable = false
        for (const one of group) one.reject(failure)
      }
    }
    running = null
  }

  const write = (what: Write): Promise<WriteResult> =>
    new Promise((resolve, reject) => {
      waiting.push({ write: plain(what), resolve, reject })
      running ??= run()
    })

  const owe = (record: Draft): void => {
    write({ records: [record] }).catch(() => setTimeout(() => owe(record), oweEveryMs).unref())
  }

  return {
    write,
    owe,
    learn,
    policyEpoch: () => epoch,
    isWritable: () => isWritable,
    drain: async () => {
      while (running) await running
    },
  }
}

const turn = () => new Promise((resolve) => void setImmediate(resolve))

const plain = (write: Write): PlainWrite => ({
  ...write,
  statements: (write.statements ?? []).map(({ query, mustTouch }) => ({
    sql: query.sql,
    parameters: query.parameters,
    mustTouch: mustTouch ?? false,
  })),
})

/** Quiet outside, rich inside: the cause stays for the log. */
const unavailable = (cause: unknown): Malfunction =>
  new Malfunction(
    'audit_unavailable',
    'The audit log cannot be written just now; nothing was done. Try again shortly.',
    { cause },
  )

import type { Draft } from '../../audit/record.ts'
import type { Failed, PlainWrite } from '../commit.ts'
import type { WriteResult } from '../store.ts'

/**
 * How a group of writes crosses to the worker, and how its results come back. What most writes are
 * (one record and nothing else) goes as a list: of an object each member's name would be copied
 * along, which costs more than the record.
 */

type LoneRecord = readonly [
  ifPolicyEpoch: number | null,
  head: string,
  tail: string,
  disclosed: string | null,
  kind: string,
  timeMs: number,
  requestId: string | null,
  attemptNo: number | null,
  agent: string | null,
  opens: boolean,
  closes: number | null,
]
export type Parcel = readonly (LoneRecord | PlainWrite)[]

type LoneNumber = readonly [number: number, policyEpoch: number]
export type ResultParcel = readonly (LoneNumber | WriteResult | Failed)[]

export const wrapWrites = (group: readonly PlainWrite[]): Parcel =>
  group.map((write) => {
    const [draft, ...more] = write.records
    const isLone = more.length === 0 && write.statements.length === 0 && !write.bumpsPolicy
    return draft && isLone ? wrapLone(draft, write.ifPolicyEpoch ?? null) : write
  })

const wrapLone = (draft: Draft, ifPolicyEpoch: number | null): LoneRecord => [
  ifPolicyEpoch,
  draft.head,
  draft.tail,
  draft.disclosed,
  draft.kind,
  draft.timeMs,
  draft.requestId,
  draft.attemptNo,
  draft.agent,
  draft.opens,
  draft.closes,
]

export const unwrapWrites = (parcel: Parcel): readonly PlainWrite[] =>
  parcel.map((one) => (isList(one) ? unwrapLone(one) : one))

function unwrapLone(lone: LoneRecord): PlainWrite {
  const [ifPolicyEpoch, head, tail, disclosed, kind, timeMs, ...about] = lone
  const [requestId, attemptNo, agent, opens, closes] = about
  const draft = { head, tail, disclosed, kind, timeMs, requestId, attemptNo, agent, opens, closes }
  const write = { records: [draft], statements: [] }
  return ifPolicyEpoch === null ? write : { ...write, ifPolicyEpoch }
}

export const wrapResults = (results: readonly (WriteResult | Failed)[]): ResultParcel =>
  results.map((result) => {
    if (result.kind !== 'done' || result.rows.length > 0) return result
    const [number, ...more] = result.numbers
    return number === undefined || more.length > 0 ? result : [number, result.policyEpoch]
  })

export const unwrapResults = (parcel: ResultParcel): readonly (WriteResult | Failed)[] =>
  parcel.map((one) => (isList(one) ? unwrapNumber(one) : one))

const unwrapNumber = ([number, policyEpoch]: LoneNumber): WriteResult => ({
  ...{ kind: 'done', rows: [], numbers: [number], policyEpoch },
})

const isList = <List extends readonly unknown[], Other>(one: List | Other): one is List =>
  Array.isArray(one)

import { checkLog } from './check-log.ts'
import {
  type Answer,
  disclosedOf,
  type Evidence,
  type Issued,
  type Received,
  type RecordLine,
  textOf,
} from './evidence.ts'

/**
 * Holds the log against what the provider received and what the agents read to the end. Pure.
 * Returns one line for everything that breaks P1, P2 or P9; none when the log tells the truth.
 */
export function compare(evidence: Evidence): readonly string[] {
  const { records } = evidence
  const seen: Seen = {
    calls: callsOf(records),
    digests: new Map(evidence.received.map(({ marker, digest }) => [marker, digest])),
  }
  return [
    ...checkLog(records),
    ...checkReceived(evidence.received, records),
    ...evidence.answers.flatMap((answer) => checkAnswer(answer, seen)),
    ...checkIssued(evidence.issued, records),
  ]
}

type Seen = {
  /** Every record of a call, by its request id. */
  readonly calls: ReadonlyMap<string, readonly RecordLine[]>
  /** What the provider received, by marker. */
  readonly digests: ReadonlyMap<string, string>
}

const callsOf = (records: readonly RecordLine[]): Seen['calls'] =>
  Map.groupBy(
    records.filter(({ kind }) => kind === 'attempt' || kind === 'outcome'),
    (record) => textOf(record, 'request_id'),
  )

/** P1: what reached the provider was allowed on record, body for body, no fewer times. */
function checkReceived(received: readonly Received[], records: readonly RecordLine[]): string[] {
  const allowed = new Map<string, number>()
  for (const record of records) {
    if (record.kind !== 'attempt' || record.decision !== 'allow') continue
    const key = `${record.method} ${disclosedOf(record, 'target')} ${disclosedOf(record, 'request_digest')}`
    allowed.set(key, (allowed.get(key) ?? 0) + 1)
  }
  return received.flatMap(({ n, method, target, digest }) => {
    const key = `${method} ${target} ${digest}`
    const left = allowed.get(key) ?? 0
    allowed.set(key, left - 1)
    return left > 0 ? [] : [`request ${n} (${target}, ${digest}) reached the provider unaudited`]
  })
}

/** P2: an answer that was read to its end has its outcome, with the same status and bytes. */
function checkAnswer(answer: Answer, { calls, digests }: Seen): string[] {
  const { requestId, marker, code } = answer
  const records = calls.get(requestId) ?? []
  const complain = (what: string) => [`answer ${requestId} (${answer.status}): ${what}`]
  const attempts = records.filter(({ kind }) => kind === 'attempt')
  if (code !== null) return checkRefusal(answer, records, complain)
  const last = attempts.at(-1)
  if (!last) return complain('has no attempt')
  if (disclosedOf(last, 'request_digest') !== digests.get(marker)) {
    return complain('belongs to another call')
  }
  const outcome = records.find(
    ({ kind, attempt_no }) => kind === 'outcome' && attempt_no === last.attempt_no,
  )
  if (!outcome) return complain('was read to its end and has no outcome')
  const said = [outcome.status, outcome.provider_status, outcome.bytes_out, outcome.error]
  const read = [answer.status, answer.providerStatus, answer.bytes, null]
  if (said.every((value, at) => value === read[at])) return []
  return complain(`was ${JSON.stringify(read)}, and the log says ${JSON.stringify(said)}`)
}

/** The gateway's own answers: on record, unless they say that nothing can be recorded. */
function checkRefusal(
  { code, status }: Answer,
  records: readonly RecordLine[],
  complain: (what: string) => string[],
): string[] {
  if (code === 'audit_unavailable' || code === 'store_unavailable') {
    return records.some(({ error }) => error === null) ? complain('is on record as answered') : []
  }
  const told = records.some((record) =>
    record.kind === 'outcome'
      ? record.error === code
      : record.decision === 'deny' && record.reason === code && record.status === status,
  )
  return told ? [] : complain(`${code} is not on record`)
}

/** Exchanges are recorded before they are answered. */
function checkIssued(issued: readonly Issued[], records: readonly RecordLine[]): string[] {
  const known = new Set(
    records.filter(({ kind }) => kind === 'token.issued').map((record) => textOf(record, 'jti')),
  )
  return issued.flatMap(({ jti }) => (known.has(jti) ? [] : [`token ${jti} was issued unaudited`]))
}

import { hash } from 'node:crypto'
import { type Json, type RecordLine, textOf } from './evidence.ts'

/**
 * What must hold within the log itself, after every boot that died was closed. Pure. Hashes and
 * canonical JSON are written anew from CONTRACT.md, so that the gateway does not vouch for itself.
 */
export function checkLog(records: readonly RecordLine[]): readonly string[] {
  return [
    ...records.flatMap(checkHashes),
    ...checkOrder(records),
    ...checkNumbers(records),
    ...checkOutcomes(records),
  ]
}

const nameOf = ({ epoch, seq, node, boot, n, kind }: RecordLine) =>
  `record ${epoch}.${seq} (${kind}, ${node} ${boot} ${n})`

/** A torn record does not hash to its leaf; a torn disclosure not to its commitment. */
function checkHashes(record: RecordLine): string[] {
  const { epoch: _epoch, seq: _seq, leaf_hash: leaf, disclosed, ...body } = record
  const complaints: string[] = []
  if (hash('sha256', `\0${canonical(body)}`, 'base64url') !== leaf) {
    complaints.push(`${nameOf(record)} does not hash to its leaf`)
  }
  for (const [field, open] of Object.entries(disclosed)) {
    if (open === null) continue
    const salt = Buffer.from(open.salt, 'base64url')
    const message = Buffer.concat([salt, Buffer.from(`\0${field}\0${open.value}`)])
    const committed = (record[field] as { sha256?: string } | null)?.sha256
    if (committed !== hash('sha256', message, 'base64url')) {
      complaints.push(`${nameOf(record)}: ${field} is not what was committed to`)
    }
  }
  return complaints
}

/** RFC 8785 for what records hold: strings, integers, booleans, null, arrays and objects. */
function canonical(value: Json): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  const members = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1))
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`).join(',')}}`
}

/** `seq` counts from 0 in each epoch, and the export is in that order. */
function checkOrder(records: readonly RecordLine[]): string[] {
  const next = new Map<number, number>()
  return records.flatMap((record) => {
    const due = next.get(record.epoch) ?? 0
    next.set(record.epoch, record.seq + 1)
    return record.seq === due ? [] : [`${nameOf(record)} stands where ${due} is due`]
  })
}

/** `n` counts from 0 in each boot, and the log has a boot's records in that order. */
function checkNumbers(records: readonly RecordLine[]): string[] {
  const next = new Map<string, number>()
  return records.flatMap((record) => {
    const boot = `${record.node} ${record.boot}`
    const due = next.get(boot) ?? 0
    next.set(boot, record.n + 1)
    return record.n === due ? [] : [`${nameOf(record)} is number ${record.n} where ${due} is due`]
  })
}

/** Every allowed attempt has one outcome, every outcome one attempt, and in this order. */
function checkOutcomes(records: readonly RecordLine[]): string[] {
  const sent = records.filter(
    ({ kind, decision }) => kind === 'outcome' || (kind === 'attempt' && decision === 'allow'),
  )
  const key = (record: RecordLine) =>
    `${textOf(record, 'request_id')} ${textOf(record, 'attempt_no')}`
  return [...Map.groupBy(sent, key).values()].flatMap(checkPair)
}

function checkPair(pair: readonly RecordLine[]): string[] {
  const [attempt, ...twice] = pair.filter(({ kind }) => kind === 'attempt')
  const [outcome, ...more] = pair.filter(({ kind }) => kind === 'outcome')
  const isLate = attempt && outcome && pair.indexOf(attempt) > pair.indexOf(outcome)
  return [
    ...(attempt && !outcome ? [`${nameOf(attempt)} has no outcome`] : []),
    ...(outcome && !attempt ? [`${nameOf(outcome)} is the outcome of no attempt`] : []),
    ...(isLate ? [`${nameOf(attempt)} stands behind its outcome`] : []),
    ...twice.map((other) => `${nameOf(other)} is an attempt twice`),
    ...more.map((other) => `${nameOf(other)} is a second outcome`),
  ]
}

import { type Command, InvalidArgumentError } from 'commander'
import type { Agent, AuditRecord, Page } from './gateway/admin-api.ts'
import { type AdminClient, itemsOf, segment } from './gateway/admin-client.ts'
import type { AddCommand } from './session.ts'
import { pause, type Session } from './session.ts'
import { parseDuration } from './terminal/duration.ts'
import { type Output, printable } from './terminal/output.ts'

type Choice = { readonly agent?: string; readonly kind?: string; readonly since?: number }
type Limited = Choice & { readonly limit: number }

/** Milliseconds between two looks at the end of the log. */
const pollMs = 500
/** Records in one request: what an export holds in memory. */
const pageSize = 500

export const addAudit: AddCommand = (audit, session) => {
  addTail(audit.command('tail'), session)
  addList(audit.command('list'), session)
  addExport(audit.command('export'), session)
}

const choosing = (command: Command): Command =>
  command
    .option('--agent <name>', 'Only what this agent did')
    .option('--kind <kind>', 'Only records of this kind, as in attempt or token.issued')
    .option('--since <duration>', 'Only the last while, as in 24h', parseDuration)

const limited = (command: Command, standard: number): Command =>
  choosing(command).option('--limit <count>', 'How many at most', parseLimit, standard)

function addTail(command: Command, session: Session): void {
  limited(command, 20)
    .description('Show the newest records, oldest of them first')
    .option('-f, --follow', 'Go on with what is written from now on, until Ctrl-C')
    .addHelpText(
      'after',
      '\nExamples:\n  $ okoro audit tail\n  $ okoro audit tail --follow --agent coach',
    )
    .action((options: Limited & { readonly follow?: boolean }) =>
      session.withAdmin(async (admin) => {
        const query = await queryOf(session, admin, options)
        const path = `/audit?${query}&order=newest&limit=${options.limit}`
        const { items } = await admin.call<Page<AuditRecord>>('GET', path)
        const newest = items.toReversed()
        for (const record of newest) await print(session.output, record)
        if (options.follow) await follow(session, admin, { query, last: newest.at(-1) })
      }),
    )
}

type Following = { readonly query: string; readonly last: AuditRecord | undefined }

async function follow({ output, stop }: Session, admin: AdminClient, { query, last }: Following) {
  let cursor = last && cursorOf(last)
  while (!stop.aborted) {
    const after = cursor === undefined ? '' : `&cursor=${cursor}`
    const path = `/audit?${query}&limit=${pageSize}${after}`
    const { items } = await admin.call<Page<AuditRecord>>('GET', path)
    for (const record of items) {
      await print(output, record)
      cursor = cursorOf(record)
    }
    if (items.length < pageSize) await pause(pollMs, stop)
  }
}

function addList(command: Command, session: Session): void {
  limited(command, 100)
    .description('List records, newest first')
    .addHelpText(
      'after',
      '\nExamples:\n  $ okoro audit list --since 24h\n  $ okoro audit list --kind token.refused --limit 10',
    )
    .action((options: Limited) =>
      session.withAdmin(async (admin) => {
        const { output } = session
        const query = await queryOf(session, admin, options)
        const path = `/audit?${query}&order=newest&limit=${options.limit}`
        const { items } = await admin.call<Page<AuditRecord>>('GET', path)
        if (output.isJson) return output.json(items)
        output.table(heading, items.map(rowOf))
      }),
    )
}

function addExport(command: Command, session: Session): void {
  choosing(command)
    .description('Write all records as NDJSON, in the order of the log')
    .addHelpText(
      'after',
      `
Each line has epoch, seq, leaf_hash and disclosed beside the record that was hashed.

Examples:
  $ okoro audit export > audit.ndjson
  $ okoro audit export --since 24h | jq -r .kind | sort | uniq -c`,
    )
    .action((options: Choice) =>
      session.withAdmin(async (admin) => {
        const query = await queryOf(session, admin, options)
        for await (const record of itemsOf<AuditRecord>(
          admin,
          `/audit?${query}&limit=${pageSize}`,
        )) {
          if (session.stop.aborted) return
          await session.output.stream(JSON.stringify(record))
        }
      }),
    )
}

async function queryOf({ clock }: Session, admin: AdminClient, choice: Choice): Promise<string> {
  const query = new URLSearchParams()
  if (choice.agent !== undefined) {
    const { id } = await admin.call<Agent>('GET', `/agents/${segment(choice.agent)}`)
    query.set('agent', id)
  }
  if (choice.kind !== undefined) query.set('kind', choice.kind)
  if (choice.since !== undefined) {
    query.set('since', new Date(clock() - choice.since * 1000).toISOString())
  }
  return query.toString()
}

const cursorOf = ({ epoch, seq }: AuditRecord): string => `${epoch}.${seq}`

const heading = ['TIME', 'KIND', 'AGENT', 'RESULT', 'WHAT', 'INTENT']

/** In characters: what most cells of each column take. */
const usualWidths = [24, 20, 12, 24, 42]

/** One line as it comes: JSON, or the columns of the table, which can't wait for their widths. */
async function print(output: Output, record: AuditRecord): Promise<void> {
  if (output.isJson) return output.stream(JSON.stringify(record))
  const cells = rowOf(record).map(printable)
  const aligned = cells.map((cell, index) => cell.padEnd(usualWidths[index] ?? 0))
  await output.stream(output.isTerminal ? aligned.join('  ').trimEnd() : cells.join('\t'))
}

function rowOf(record: AuditRecord): (string | null)[] {
  const { time, kind } = record
  return [
    time,
    kind,
    agentOf(record),
    resultOf(record),
    whatOf(record),
    disclosed(record, 'intent'),
  ]
}

const agentOf = (record: AuditRecord): string | null =>
  disclosed(record, 'agent_name') ?? textOf(record.agent)

function resultOf({ decision, reason, status, error }: AuditRecord): string | null {
  if (textOf(error) !== null) return textOf(error)
  if (decision === 'deny') return `deny ${textOf(reason) ?? ''}`.trim()
  return textOf(decision) ?? textOf(status) ?? textOf(reason)
}

function whatOf(record: AuditRecord): string | null {
  const { kind, bytes_out: bytes, duration_ms: ms } = record
  if (kind === 'outcome')
    return `answered in ${textOf(ms) ?? '?'} ms with ${textOf(bytes) ?? 0} bytes`
  const target = disclosed(record, 'target') ?? disclosed(record, 'agent_path')
  const call = target === null ? [] : [textOf(record.method), target]
  const what = [textOf(record.provider), ...call, textOf(record.action)]
  return what.filter((part) => part !== null).join(' ') || null
}

const disclosed = ({ disclosed: fields }: AuditRecord, field: string): string | null =>
  fields[field]?.value ?? null

const textOf = (value: unknown): string | null =>
  typeof value === 'string' || typeof value === 'number' ? String(value) : null

function parseLimit(text: string): number {
  const limit = Number(text)
  if (Number.isInteger(limit) && limit >= 1 && limit <= 500) return limit
  throw new InvalidArgumentError('It is a number from 1 to 500; `okoro audit export` has no limit.')
}

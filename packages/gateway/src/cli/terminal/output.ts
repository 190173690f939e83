import type { Writable } from 'node:stream'

export type OutputStream = Writable & { readonly isTTY?: boolean; readonly columns?: number }

type Style = 'bold' | 'dim' | 'green' | 'yellow' | 'red'

const escapes: Readonly<Record<Style, string>> = {
  bold: '\x1b[1m',
  dim: '\x1b[2m',
  green: '\x1b[32m',
  yellow: '\x1b[33m',
  red: '\x1b[31m',
}

export type Cell = string | number | boolean | null | undefined

/** Results go to standard output, everything about them to standard error. */
export type Output = {
  readonly isTerminal: boolean
  /** The result for programs: `--json` was given. */
  readonly isJson: boolean
  json(value: unknown): void
  /** Text of ours, which may span lines. */
  text(text: string): void
  /** Resolves when it was taken: for results without end. */
  stream(line: string): Promise<void>
  /** Aligned with a heading on a terminal; tabs and no heading in a pipe. */
  table(heading: readonly string[], rows: readonly (readonly Cell[])[]): void
  /** Name and value, one pair a line. */
  facts(facts: readonly (readonly [name: string, value: Cell])[]): void
  note(text: string): void
  style(style: Style, text: string): string
}

export type OutputOptions = {
  readonly stdout: OutputStream
  readonly stderr: Writable
  readonly isJson: boolean
  /** `NO_COLOR` is not set (no-color.org). */
  readonly hasColor: boolean
}

export function createOutput({ stdout, stderr, isJson, hasColor }: OutputOptions): Output {
  const isTerminal = stdout.isTTY === true
  const write = (text: string) => stdout.write(`${text}\n`)
  const style = (name: Style, text: string) =>
    isTerminal && hasColor ? `${escapes[name]}${text}\x1b[0m` : text
  return {
    ...{ isTerminal, isJson, style },
    json: (value) => write(JSON.stringify(value, null, 2)),
    text: (text) => write(text),
    stream: (line) =>
      new Promise((resolve) => {
        if (write(line)) resolve()
        else stdout.once('drain', resolve)
      }),
    table: (heading, rows) => {
      const cells = rows.map((row) => row.map(printable))
      if (!isTerminal) {
        for (const row of cells) write(row.join('\t'))
        return
      }
      const widths = heading.map((title, index) =>
        widthOf([title, ...cells.map((row) => row[index])]),
      )
      write(style('dim', align(heading, widths)))
      for (const row of cells) write(align(row, widths))
    },
    facts: (facts) => {
      const width = widthOf(facts.map(([name]) => name))
      for (const [name, value] of facts) {
        const shown = printable(value)
        write(isTerminal ? `${style('dim', name.padEnd(width))}  ${shown}` : `${name}\t${shown}`)
      }
    },
    note: (text) => stderr.write(`${text}\n`),
  }
}

/**
 * A value as one cell. Agents and providers choose some of what is shown: control and formatting
 * characters, with which text could move the cursor or hide, become `�`.
 */
export const printable = (cell: Cell): string => {
  if (cell === null || cell === undefined || cell === '') return '-'
  return String(cell).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\uFFFD')
}

const widthOf = (texts: readonly (string | undefined)[]): number =>
  Math.max(...texts.map((text) => text?.length ?? 0))

const align = (row: readonly string[], widths: readonly number[]): string =>
  row
    .map((cell, index) => cell.padEnd(widths[index] ?? 0))
    .join('  ')
    .trimEnd()

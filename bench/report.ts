import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { arch, cpus, loadavg, platform, release, totalmem } from 'node:os'
import { root } from '../scripts/repo-files.ts'
import type { Sample } from './sample.ts'
import type { Start } from './start.ts'

export type Report = {
  readonly machine: Readonly<Record<string, string | number | readonly number[]>>
  readonly plan: Readonly<Record<string, string | number | boolean | readonly number[]>>
  readonly peers: readonly PeerReport[]
  readonly starts: readonly Start[]
  readonly samples: readonly Sample[]
}

/** Middle, lowest and highest of the rounds. */
export type Spread = { readonly median: number; readonly low: number; readonly high: number }

export type PeerReport = {
  readonly peer: string
  readonly connections: number
  readonly cpuUs: Spread | null
  /** Throughput per core against bare node, by CPU time, round by round of this run. */
  readonly ofBare: Spread | null
  readonly requestsPerSecond: Spread
  readonly p50Us: Spread
  readonly p99Us: Spread
  /** Against the upstream itself in the same round. */
  readonly addedP50Us: Spread
  readonly addedP99Us: Spread
  readonly rssMib: Spread | null
  readonly loopP50Ms: Spread | null
  readonly loopP99Ms: Spread | null
  readonly loopMaxMs: Spread | null
}

export function machineOf(loaderName: string, loadBefore: readonly number[]) {
  const processors = cpus()
  return {
    ...{ date: new Date().toISOString(), commit: commitOf(), load_generator: loaderName },
    ...{ processor: processors[0]?.model ?? 'unknown', cores: processors.length },
    ...{
      memory_gib: Math.round(totalmem() / 2 ** 30),
      system: `${platform()} ${release()} ${arch()}`,
    },
    ...{
      node: process.versions.node,
      sqlite: process.versions.sqlite ?? '',
      undici: undiciVersion(),
    },
    ...{ load_average_before: loadBefore, load_average_after: loadavg() },
  }
}

function commitOf(): string {
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim()
  try {
    return `${git('rev-parse', '--short=12', 'HEAD')}${git('status', '--porcelain') && ' (changed)'}`
  } catch {
    return 'no git here'
  }
}

const undiciVersion = (): string =>
  JSON.parse(readFileSync(`${root}node_modules/undici/package.json`, 'utf8')).version

/** One line for each concurrency and peer, in the order of the peers. */
export function summarize(
  samples: readonly Sample[],
  peers: readonly { readonly name: string }[],
): readonly PeerReport[] {
  const concurrencies = [...new Set(samples.map(({ connections }) => connections))].sort(
    (a, b) => a - b,
  )
  return concurrencies.flatMap((connections) =>
    peers.flatMap(({ name }) => {
      const cell = samples.filter((one) => one.peer === name && one.connections === connections)
      return cell.length === 0 ? [] : [summarizeCell(cell, samples)]
    }),
  )
}

function summarizeCell(cell: readonly Sample[], all: readonly Sample[]): PeerReport {
  const [{ peer, connections }] = cell as [Sample]
  const twin = (sample: Sample, name: string) =>
    all.find(
      (one) => one.peer === name && one.round === sample.round && one.connections === connections,
    )
  const against = (name: string, compare: (own: Sample, other: Sample) => number | null) =>
    cell.map((own) => {
      const other = twin(own, name)
      return other === undefined ? null : compare(own, other)
    })
  return {
    ...{ peer, connections },
    cpuUs: spread(cell.map(({ cpuUs }) => cpuUs)),
    ofBare: spread(
      against('bare node', (own, bare) =>
        own.cpuUs && bare.cpuUs ? bare.cpuUs / own.cpuUs : null,
      ),
    ),
    requestsPerSecond: sure(cell.map(({ requests, seconds }) => requests / seconds)),
    p50Us: sure(cell.map(({ p50Us }) => p50Us)),
    p99Us: sure(cell.map(({ p99Us }) => p99Us)),
    addedP50Us: sure(against('direct', (own, direct) => own.p50Us - direct.p50Us)),
    addedP99Us: sure(against('direct', (own, direct) => own.p99Us - direct.p99Us)),
    rssMib: spread(cell.map(({ rssMib }) => rssMib)),
    loopP50Ms: spread(cell.map(({ loop }) => loop?.p50Ms ?? null)),
    loopP99Ms: spread(cell.map(({ loop }) => loop?.p99Ms ?? null)),
    loopMaxMs: spread(cell.map(({ loop }) => loop?.maxMs ?? null)),
  }
}

const sure = (values: readonly (number | null)[]): Spread =>
  spread(values) ?? { median: Number.NaN, low: Number.NaN, high: Number.NaN }

/** Null where nothing was measured. */
export function spread(values: readonly (number | null)[]): Spread | null {
  const sorted = values.filter((value) => value !== null).sort((a, b) => a - b)
  const [low] = sorted
  const high = sorted.at(-1)
  if (low === undefined || high === undefined) return null
  const middle = (sorted.length - 1) / 2
  const median = ((sorted[Math.floor(middle)] ?? low) + (sorted[Math.ceil(middle)] ?? low)) / 2
  return { median, low, high }
}

/** The tables of docs/performance.md, as they stand there. */
export function print({ machine, plan, peers, starts }: Report): string {
  const facts = Object.entries({ ...machine, ...plan }).map(
    ([name, value]) => `- ${name}: ${value}`,
  )
  return [facts.join('\n'), throughput(peers), latency(peers), own(peers), startTable(starts)]
    .filter((part) => part !== '')
    .join('\n\n')
}

const throughput = (peers: readonly PeerReport[]): string =>
  table(
    ['proxy', 'connections', 'CPU µs/request', 'of bare node', 'requests/s'],
    peers
      .filter(({ cpuUs }) => cpuUs !== null)
      .map((one) => [
        ...[one.peer, `${one.connections}`, text(one.cpuUs, 1), text(one.ofBare, 2)],
        text(one.requestsPerSecond, 0),
      ]),
  )

const latency = (peers: readonly PeerReport[]): string =>
  table(
    ['', 'connections', 'p50 µs', 'p99 µs', 'added p50 µs', 'added p99 µs'],
    peers.map((one) => [
      ...[one.peer, `${one.connections}`, text(one.p50Us, 0), text(one.p99Us, 0)],
      ...(one.peer === 'direct' ? ['', ''] : [text(one.addedP50Us, 0), text(one.addedP99Us, 0)]),
    ]),
  )

const own = (peers: readonly PeerReport[]): string =>
  table(
    ['gateway', 'connections', 'loop p50 ms', 'loop p99 ms', 'loop max ms', 'RSS MiB'],
    peers
      .filter(({ cpuUs }) => cpuUs !== null)
      .map((one) => [
        ...[one.peer, `${one.connections}`, text(one.loopP50Ms, 1), text(one.loopP99Ms, 1)],
        ...[text(one.loopMaxMs, 1), text(one.rssMib, 0)],
      ]),
  )

const startTable = (starts: readonly Start[]): string =>
  starts.length === 0
    ? ''
    : table(
        ['records', 'launch to ready ms', 'idle RSS MiB'],
        starts.map(({ records, readyMs, idleRssMib }) => [
          ...[`${records}`, text(spread(readyMs), 0), text(spread(idleRssMib), 0)],
        ]),
      )

const text = (one: Spread | null, digits: number): string =>
  one === null
    ? ''
    : `${one.median.toFixed(digits)} (${one.low.toFixed(digits)}–${one.high.toFixed(digits)})`

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((name, at) =>
    Math.max(name.length, ...rows.map((row) => row[at]?.length ?? 0)),
  )
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`
  return [line(head), rule, ...rows.map(line)].join('\n')
}

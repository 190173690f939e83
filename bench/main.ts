/**
 * `npm run bench [-- --quick] [--json FILE] [--rounds N] [--seconds S] [--source] [--no-start]
 * [--postgres URL]`: okoro's whole path beside bare Node and nginx, in one interleaved run. See
 * docs/performance.md. Linux with two cores and nginx; wrk where it is there.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { missingPrerequisites, nginxPath } from '../scripts/prerequisites.ts'
import { findLoader } from './load.ts'
import { installPackage, sourceLauncher } from './package.ts'
import { startBare } from './peers/bare.ts'
import { startNginx, startUpstream } from './peers/nginx.ts'
import { startOkoro } from './peers/okoro.ts'
import type { Peer } from './peers/peer.ts'
import { machineOf, print, type Report, summarize } from './report.ts'
import { takeSamples } from './sample.ts'
import { measureStarts, type Start } from './start.ts'

type Options = {
  readonly rounds: number
  readonly seconds: number
  readonly records: readonly number[]
  readonly isBuilt: boolean
  readonly json: string | null
  readonly postgres: string | null
}

const concurrencies = [1, 32] as const

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      source: { type: 'boolean', default: false },
      'no-start': { type: 'boolean', default: false },
      ...{ rounds: { type: 'string' }, seconds: { type: 'string' } },
      ...{ json: { type: 'string' }, postgres: { type: 'string' } },
    },
  })
  const { quick } = values
  return {
    rounds: Number(values.rounds ?? (quick ? 2 : 9)),
    seconds: Number(values.seconds ?? (quick ? 1 : 3)),
    records: values['no-start'] ? [] : [0, quick ? 10_000 : 1_000_000],
    isBuilt: !values.source,
    json: values.json === undefined ? null : resolve(values.json),
    postgres: values.postgres ?? null,
  }
}

async function main(): Promise<void> {
  const missing = missingPrerequisites('the bench')
  const nginx = nginxPath()
  if (nginx === undefined || missing.length > 0) {
    const packages = missing.map(({ debianPackage }) => debianPackage).join(' ')
    console.error(`The bench needs what is in these Debian packages: ${packages}`)
    process.exitCode = 1
    return
  }
  const options = readOptions()
  const folder = await mkdtemp(join(tmpdir(), 'okoro-bench-'))
  try {
    const report = await bench(options, { nginx, folder })
    console.log(print(report))
    if (options.json !== null) await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function bench(
  options: Options,
  { nginx, folder }: { readonly nginx: string; readonly folder: string },
): Promise<Report> {
  const loadBefore = loadavg()
  if (options.isBuilt) console.error('building and installing the package')
  const bin = options.isBuilt ? await installPackage(folder) : sourceLauncher
  const upstream = await startUpstream(nginx, join(folder, 'upstream'))
  const running: { close(): Promise<void> }[] = [upstream]
  const place = { bin, upstreamPort: upstream.port }
  try {
    const starts: Start[] = []
    for (const records of options.records) {
      console.error(`starting on ${records} records`)
      const own = { ...place, folder: join(folder, `start-${records}`) }
      starts.push(await measureStarts(own, { records, times: 3 }))
    }
    const peers: Peer[] = [upstream]
    const add = (peer: Peer) => {
      peers.push(peer)
      running.push(peer)
    }
    add(await startNginx(nginx, join(folder, 'nginx'), upstream.port))
    add(await startBare(upstream.port))
    const databases = [null, ...(options.postgres === null ? [] : [options.postgres])]
    for (const [index, databaseUrl] of databases.entries()) {
      const own = { ...place, folder: join(folder, `okoro-${index}`) }
      const okoro = await startOkoro(databaseUrl === null ? own : { ...own, databaseUrl })
      running.push(okoro)
      peers.push(okoro.untouched, okoro.composed)
    }
    const loader = findLoader(folder)
    const { rounds, seconds } = options
    const samples = await takeSamples(
      { peers, loader, connections: concurrencies, rounds, seconds },
      (round) => console.error(round < 1 ? 'warming up' : `round ${round} of ${rounds}`),
    )
    return {
      machine: machineOf(loader.name, loadBefore),
      plan: { rounds, seconds_per_sample: seconds, built_package: options.isBuilt },
      ...{ peers: summarize(samples, peers), starts, samples },
    }
  } finally {
    for (const one of running.reverse()) await one.close()
  }
}

await main()

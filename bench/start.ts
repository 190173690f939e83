import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as wait } from 'node:timers/promises'
import { isServing, type OkoroPlace, settingsOf, untilReady } from './peers/okoro.ts'
import { cores, startPinned, stop } from './peers/peer.ts'
import { rssMibOf } from './usage.ts'

export type Start = {
  readonly records: number
  /** Milliseconds from the launch to the first `ready` of `/readyz`; one for each time. */
  readonly readyMs: readonly number[]
  /** MiB some seconds after the start, with nothing asked of it. */
  readonly idleRssMib: readonly number[]
}

/** Long enough for whatever a start leaves behind to be collected. */
const idleMs = 5_000

/**
 * Starts the gateway on a database of so many records, `times` over. The records are those of a
 * run that was killed, calls under way and all: what a start has to put right is in there.
 */
export async function measureStarts(
  place: OkoroPlace,
  { records, times }: { readonly records: number; readonly times: number },
): Promise<Start> {
  await mkdir(place.folder, { recursive: true })
  // Lays the tables, and once more, so that no first time is among those that count.
  await startOnce(place, 0)
  const path = join(place.folder, 'data/okoro.db')
  const readyMs: number[] = []
  const idleRssMib: number[] = []
  for (let time = 0; time < times; time += 1) {
    if (records > 0)
      addDeadRun(path, { boot: `dead-${time}`, records: time === 0 ? records : 1000 })
    const once = await startOnce(place, idleMs)
    readyMs.push(once.readyMs)
    idleRssMib.push(once.idleRssMib)
  }
  return { records, readyMs, idleRssMib }
}

async function startOnce(place: OkoroPlace, settleMs: number) {
  const startedMs = performance.now()
  const { child, match } = await startPinned(cores.proxy, [place.bin, 'serve'], {
    ...{ ready: isServing, env: settingsOf(place) },
  })
  await untilReady(Number(match[1]))
  const readyMs = performance.now() - startedMs
  await wait(settleMs)
  const idleRssMib = await rssMibOf([child.pid ?? 0])
  await stop(child)
  return { readyMs, idleRssMib }
}

/** Attempts and outcomes in turn, as the writer would have left them; the last 32 are open. */
function addDeadRun(path: string, run: { readonly boot: string; readonly records: number }): void {
  const { boot, records } = run
  const database = new DatabaseSync(path)
  try {
    database.exec('pragma synchronous = off; begin')
    database
      .prepare(
        `insert into boot (workspace_id, node, boot, started_at, settled, seen_at, closed_at)
         values ('default', 'bench', ?, 0, ?, 0, null)`,
      )
      .run(boot, Math.max(0, records - 600))
    const first = database
      .prepare('select coalesce(max(seq), -1) + 1 as seq from sequence where epoch = 1')
      .get()
    const rows = `with recursive numbers (n) as (
        select 0 union all select n + 1 from numbers where n + 1 < ${records}
      ), rows as (
        select n, (n % 2 = 0 or n >= ${records - 32}) as opens from numbers
      )`
    database.exec(`${rows}
      insert into record (workspace_id, node, boot, n, kind, time, request_id, attempt_no, agent,
        opens, closes, leaf_hash, body)
      select 'default', 'bench', '${boot}', n, case when opens then 'attempt' else 'outcome' end,
        1700000000000 + n, 'req_${boot}_' || (n / 2), 1, case when opens then 'agt_bench' end,
        opens, case when opens then null else n - 1 end, hex(randomblob(22)),
        case when opens then '${'a'.repeat(950)}' else '${'o'.repeat(430)}' end from rows`)
    database.exec(`${rows}
      insert into disclosure (workspace_id, node, boot, n, fields)
      select 'default', 'bench', '${boot}', n, '${'d'.repeat(560)}' from rows where opens`)
    database.exec(`${rows}
      insert into sequence (workspace_id, epoch, seq, node, boot, n, leaf_hash)
      select 'default', 1, ${Number(first?.seq)} + n, 'bench', '${boot}', n, hex(randomblob(22))
      from rows`)
    database.exec('commit; pragma wal_checkpoint(truncate)')
  } finally {
    database.close()
  }
}

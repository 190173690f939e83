import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { findOnPath } from '../scripts/prerequisites.ts'
import { cores, type Request } from './peers/peer.ts'

/** What one sample is made of: a closed loop on each connection, bounded in time and in count. */
export type LoadPlan = {
  readonly request: Request
  readonly connections: number
  readonly seconds: number
  /** No more requests than this; wrk knows no such bound and goes by time alone. */
  readonly most: number
}

export type Load = {
  readonly requests: number
  /** Answers other than 2xx, and sockets that broke. */
  readonly failed: number
  readonly seconds: number
  readonly p50Us: number
  readonly p99Us: number
}

export type Loader = {
  readonly name: string
  run(plan: LoadPlan): Promise<Load>
}

const runFile = promisify(execFile)

/** `wrk` where it is installed, else `client.ts`. */
export function findLoader(folder: string): Loader {
  const wrk = findOnPath('wrk')
  if (wrk !== undefined) return { name: 'wrk', run: (plan) => runWrk(wrk, folder, plan) }
  const script = fileURLToPath(new URL('client.ts', import.meta.url))
  const run = async (plan: LoadPlan) => {
    const command = ['-c', `${cores.rest}`, process.execPath, script, JSON.stringify(plan)]
    return JSON.parse((await runFile('taskset', command)).stdout) as Load
  }
  return { name: 'own client (no wrk here)', run }
}

async function runWrk(wrk: string, folder: string, plan: LoadPlan): Promise<Load> {
  const { request, connections, seconds } = plan
  const script = join(folder, 'load.lua')
  await writeFile(script, luaOf(request))
  const { stdout } = await runFile('taskset', [
    ...['-c', `${cores.rest}`, wrk, '-t1', `-c${connections}`, `-d${seconds}s`, '-s', script],
    `http://127.0.0.1:${request.port}${request.path}`,
  ])
  return JSON.parse(stdout.slice(stdout.lastIndexOf('\n{'))) as Load
}

/** JSON strings of plain ASCII are Lua strings, too. */
const luaOf = ({ headers, body }: Request): string => `
wrk.method = "POST"
wrk.body = ${JSON.stringify(body)}
${headers.map(([name, value]) => `wrk.headers[${JSON.stringify(name)}] = ${JSON.stringify(value)}`).join('\n')}
done = function(summary, latency)
  local e = summary.errors
  print(string.format(
    '\\n{"requests":%d,"failed":%d,"seconds":%f,"p50Us":%f,"p99Us":%f}', summary.requests,
    e.connect + e.read + e.write + e.status + e.timeout, summary.duration / 1e6,
    latency:percentile(50), latency:percentile(99)))
end
`

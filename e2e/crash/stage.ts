import { hash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Admin, connectWithings, type SandboxProcess } from '../gateway.ts'
import type { Home } from '../homes.ts'
import { compare } from './compare.ts'
import type { Evidence, Received, RecordLine } from './evidence.ts'
import type { Load } from './load.ts'

/** Settings under which no limit of an agent stands in the way of a load. */
export const loadEnv = {
  ...{ OKORO_AGENT_RATE: '100000', OKORO_AGENT_BURST: '100000', OKORO_AGENT_CONCURRENCY: '1000' },
}

/** Connects the demo person and makes agents; returns their service tokens. */
export async function cast(
  home: Pick<Home, 'admin' | 'url' | 'sandbox'>,
  count: number,
): Promise<readonly string[]> {
  await connectWithings(home, home.sandbox)
  return await Promise.all(Array.from({ length: count }, (_, index) => newAgent(home, `a${index}`)))
}

export async function newAgent({ admin }: Pick<Home, 'admin'>, name: string): Promise<string> {
  const grants = [{ provider: 'withings', scope: 'read' }]
  const made = await admin('POST', '/agents', { name, grants })
  if (made.status !== 201) throw new Error(`no agent: ${JSON.stringify(made.body)}`)
  return String(made.body.service_token)
}

/** What the provider received, gathered before its log forgets the oldest of it. */
export type Witness = { look(): Promise<void>; readonly received: readonly Received[] }

type Request = { n: number; method: string; target: string; body: string }

export function createWitness(sandbox: SandboxProcess): Witness {
  const received: Received[] = []
  let seen = 0
  return {
    received,
    look: async () => {
      const path = `/received?after=${seen}`
      const { requests } = (await sandbox.control('GET', path)) as { requests: Request[] }
      const first = requests.at(0)?.n ?? seen + 1
      if (first !== seen + 1) throw new Error(`the sandbox forgot ${seen + 1} to ${first - 1}`)
      seen = requests.at(-1)?.n ?? seen
      received.push(...requests.flatMap(callOf))
    },
  }
}

/** Everything but the calls of agents is the gateway's own: the code flow and refreshes. */
function callOf({ n, method, target, body }: Request): readonly Received[] {
  const marker = new URLSearchParams(body).get('marker')
  if (marker !== null) {
    return [{ n, method, target, marker, digest: hash('sha256', body, 'base64url') }]
  }
  if (/^\/(v2\/oauth2|oauth2_user)/.test(target)) return []
  throw new Error(`nobody sent request ${n}: ${method} ${target}`)
}

/** The whole log, by its pages. */
export async function exportLog(admin: Admin): Promise<readonly RecordLine[]> {
  const records: RecordLine[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const after: string = cursor === '' ? '' : `&cursor=${cursor}`
    const { status, body } = await admin('GET', `/audit?limit=500${after}`)
    if (status !== 200) throw new Error(`no export: ${JSON.stringify(body)}`)
    const page = body as unknown as { items: RecordLine[]; next_cursor: string | null }
    records.push(...page.items)
    cursor = page.next_cursor
  }
  return records
}

/**
 * Compares the three witnesses once the log has come to rest. What a boot that died left behind is
 * closed within some seconds, so a complaint counts when it is still there at the deadline.
 */
export async function settle(
  { admin }: Pick<Home, 'admin'>,
  { witness, load }: { readonly witness: Witness; readonly load: Load },
  deadlineMs = 60_000,
): Promise<{ readonly complaints: readonly string[]; readonly evidence: Evidence }> {
  await witness.look()
  for (const end = Date.now() + deadlineMs; ; await sleep(500)) {
    const { answers, issued } = load
    const evidence = {
      answers,
      issued,
      received: witness.received,
      records: await exportLog(admin),
    }
    const complaints = compare(evidence)
    if (complaints.length === 0 || Date.now() > end) return { complaints, evidence }
  }
}

/** Waits for something to become true; throws with what was waited for. */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  deadlineMs = 60_000,
): Promise<void> {
  for (const end = Date.now() + deadlineMs; !(await isSo()); await sleep(20)) {
    if (Date.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`)
  }
}

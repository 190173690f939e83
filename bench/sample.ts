import type { Load, Loader } from './load.ts'
import type { LoopDelay, Peer } from './peers/peer.ts'
import { cpuUsOf, rssMibOf } from './usage.ts'

export type Sample = Load & {
  readonly peer: string
  readonly round: number
  readonly connections: number
  /** CPU time of the proxy's processes for each request; null for no proxy at all. */
  readonly cpuUs: number | null
  readonly rssMib: number | null
  readonly loop: LoopDelay | null
}

export type Rounds = {
  readonly peers: readonly Peer[]
  readonly loader: Loader
  readonly connections: readonly number[]
  readonly rounds: number
  readonly seconds: number
}

/** V8 goes on compiling what is hot for some ten thousand calls; a slow machine gets 30 s. */
const warmUpRequests = 40_000
const warmUpMs = 30_000

async function warmUp({ loader, seconds }: Rounds, peer: Peer): Promise<void> {
  const startedMs = performance.now()
  let done = 0
  while (done < warmUpRequests && performance.now() - startedMs < warmUpMs) {
    const request = await peer.request()
    done += (await loader.run({ request, connections: 32, seconds, most })).requests
  }
}

/** More requests than this are no better known. */
const most = 200_000

/**
 * Rounds of all peers at all concurrencies, each round in an order of its own, so that whatever
 * else the machine does falls on everyone alike. Before the first one everyone is warmed up.
 */
export async function takeSamples(
  plan: Rounds,
  onRound: (round: number) => void,
): Promise<readonly Sample[]> {
  const samples: Sample[] = []
  onRound(0)
  for (const peer of plan.peers) await warmUp(plan, peer)
  for (let round = 1; round <= plan.rounds; round += 1) {
    onRound(round)
    const cells = plan.peers.flatMap((peer) =>
      plan.connections.map((connections) => ({ peer, connections })),
    )
    for (const { peer, connections } of shuffled(cells)) {
      samples.push(await take(plan, { peer, connections, round }))
    }
  }
  return samples
}

async function take(
  { loader, seconds }: Rounds,
  { peer, connections, round }: { peer: Peer; connections: number; round: number },
): Promise<Sample> {
  const request = await peer.request()
  const pids = peer.pids()
  const endWatch = await peer.watch?.()
  const before = await cpuUsOf(pids)
  const load = await loader.run({ request, connections, seconds, most })
  const used = (await cpuUsOf(pids)) - before
  const loop = (await endWatch?.()) ?? null
  if (load.failed > 0) throw new Error(`${peer.name}: ${load.failed} of ${load.requests} failed`)
  const isProxy = pids.length > 0
  return {
    ...load,
    ...{ peer: peer.name, round, connections, loop },
    cpuUs: isProxy ? used / load.requests : null,
    rssMib: isProxy ? await rssMibOf(pids) : null,
  }
}

function shuffled<Item>(items: readonly Item[]): Item[] {
  return items
    .map((item) => ({ item, place: Math.random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item)
}

import { fileURLToPath } from 'node:url'
import { jsonHeaders } from './nginx.ts'
import { cores, type Peer, sentBody, startPinned, stop } from './peer.ts'

const script = fileURLToPath(new URL('passthrough.ts', import.meta.url))

/** What `passthrough.ts` costs is what Node costs; the rest of a gateway is its own. */
export async function startBare(upstreamPort: number): Promise<Peer> {
  const command = [process.execPath, script, `${upstreamPort}`]
  const { child, match } = await startPinned(cores.proxy, command, { ready: /listening on (\d+)/ })
  const port = Number(match[1])
  return {
    ...{ name: 'bare node', pids: () => [child.pid ?? 0] },
    request: async () => ({ port, path: '/items', headers: jsonHeaders, body: sentBody }),
    close: () => stop(child),
  }
}

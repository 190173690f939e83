import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { cores, freePort, type Peer, sentBody, startPinned, stop } from './peer.ts'

/** The answer of the upstream: 2 KB of JSON, with the status that Withings hides in the body. */
const answer = JSON.stringify({ status: 0, body: { text: 'x'.repeat(2_016) } })

/** Token endpoints, so that a gateway can connect an account here: a plain one, and Withings'. */
const token = JSON.stringify({ access_token: 'bench-access-token', token_type: 'bearer' })
const withingsToken = JSON.stringify({
  status: 0,
  body: {
    ...{ userid: '1', access_token: 'bench-access-token', refresh_token: 'bench-refresh-token' },
    ...{ expires_in: 10_800, scope: 'user.metrics', token_type: 'Bearer' },
  },
})

const json = (text: string) => `default_type application/json; return 200 '${text}';`

const upstreamServer = (port: number) => `
  server {
    listen 127.0.0.1:${port};
    location = /token { ${json(token)} }
    location = /v2/oauth2 { ${json(withingsToken)} }
    location / { ${json(answer)} }
  }`

const proxyServer = (port: number, upstreamPort: number) => `
  upstream bench { server 127.0.0.1:${upstreamPort}; keepalive 64; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://bench;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }`

const configuration = (folder: string, server: string) => `
daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log stderr notice;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 100000000; keepalive_timeout 1h;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi; uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  ${server}
}`

async function start(nginx: string, place: { core: number; folder: string }, server: string) {
  const { core, folder } = place
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'nginx.conf'), configuration(folder, server))
  const command = [nginx, '-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr']
  const { child } = await startPinned(core, command, { ready: /start worker process \d+/ })
  await wait(100)
  return child
}

/** What answers behind every proxy; asked itself, it is the floor of the latency. */
export async function startUpstream(
  nginx: string,
  folder: string,
): Promise<Peer & { port: number }> {
  const port = await freePort()
  const child = await start(nginx, { core: cores.rest, folder }, upstreamServer(port))
  return {
    ...{ name: 'direct', port, pids: () => [] },
    request: async () => ({ port, path: '/items', headers: jsonHeaders, body: sentBody }),
    close: () => stop(child),
  }
}

export async function startNginx(
  nginx: string,
  folder: string,
  upstreamPort: number,
): Promise<Peer> {
  const port = await freePort()
  const server = proxyServer(port, upstreamPort)
  const child = await start(nginx, { core: cores.proxy, folder }, server)
  const pids = await familyOf(child.pid ?? 0)
  return {
    ...{ name: 'nginx', pids: () => pids },
    request: async () => ({ port, path: '/items', headers: jsonHeaders, body: sentBody }),
    close: () => stop(child),
  }
}

/** As long as an operation token, so that each peer parses heads of the same size. */
export const jsonHeaders = [
  ['content-type', 'application/json'],
  ['authorization', `Bearer ${'x'.repeat(700)}`],
] as const

/** A process and its children: nginx works in those. */
async function familyOf(parent: number): Promise<readonly number[]> {
  const pids = (await readdir('/proc')).map(Number).filter(Number.isInteger)
  const children = await Promise.all(
    pids.map(async (pid) => {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
      return Number(/\) \S (\d+)/.exec(stat)?.[1]) === parent ? [pid] : []
    }),
  )
  return [parent, ...children.flat()]
}

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { fileURLToPath } from 'node:url'

/** For end-to-end tests: real processes on ports that the system chooses, in folders of their own. */

/** Whatever a failed test leaves running ends with its file. */
const running = new Set<ChildProcess>()
after(() => {
  for (const child of running) child.kill('SIGKILL')
})

const root = fileURLToPath(new URL('..', import.meta.url))

export type Process = {
  readonly pid: number
  /** Everything on standard error so far. */
  readonly log: () => string
  /** Resolves with the exit code, or the signal's name. */
  readonly ended: Promise<number | string>
  kill(signal?: NodeJS.Signals): Promise<number | string>
}

/** Starts a script of the repo and waits until its output matches. */
export async function start<Found>(
  script: readonly string[],
  options: {
    readonly env?: Readonly<Record<string, string>>
    readonly until: (output: string) => Found | null
    /** Kills it, however far it has come. */
    readonly signal?: AbortSignal | undefined
  },
): Promise<Process & { readonly found: Found }> {
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...script], {
    ...{ cwd: root, env: { PATH, HOME, ...options.env }, stdio: ['ignore', 'pipe', 'pipe'] },
  })
  running.add(child)
  options.signal?.addEventListener('abort', () => child.kill('SIGKILL'))
  let output = ''
  const ended = new Promise<number | string>((resolve) => {
    child.once('exit', (code, signal) => {
      running.delete(child)
      resolve(code ?? signal ?? 'unknown')
    })
  })
  const found = await new Promise<Found>((resolve, reject) => {
    const read = (chunk: Buffer) => {
      output += chunk.toString()
      const match = options.until(output)
      if (match !== null) resolve(match)
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    void ended.then((code) => reject(new Error(`ended with ${code}: ${output}`)))
  })
  const kill = async (signal: NodeJS.Signals = 'SIGTERM') => {
    child.kill(signal)
    return await ended
  }
  return { pid: child.pid ?? 0, log: () => output, ended, kill, found }
}

export type SandboxProcess = Process & {
  readonly found: { readonly url: string; readonly control_url: string }
  control(method: string, path: string, body?: object): Promise<never>
}

export async function startSandbox(dataDir: string): Promise<SandboxProcess> {
  const started = await start<{ url: string; control_url: string }>(
    // Tests repeat calls, and faster than an application may: those about limits switch them on.
    [
      ...['packages/sandbox/src/main.ts', '--data', dataDir],
      ...['--duplicate-guard', 'off', '--requests-per-minute', 'off'],
    ],
    { until: (output) => (output.includes('\n') ? JSON.parse(output.split('\n')[0] ?? '') : null) },
  )
  const control = async (method: string, path: string, body?: object) => {
    const headers = { 'content-type': 'application/json' }
    const init = body ? { method, headers, body: JSON.stringify(body) } : { method }
    const answer = await fetch(started.found.control_url + path, init)
    return (await answer.json().catch(() => null)) as never
  }
  return { ...started, control }
}

export type GatewayProcess = Process & { readonly url: string; readonly admin: Admin }

export type Admin = (
  method: string,
  path: string,
  body?: object,
) => Promise<{ readonly status: number; readonly body: Readonly<Record<string, never>> }>

/** A gateway on a data folder; `admin` speaks to its unix socket. */
export async function startGateway(
  dataDir: string,
  env: Readonly<Record<string, string>> = {},
  signal?: AbortSignal,
): Promise<GatewayProcess> {
  const started = await start(['packages/gateway/src/main.ts', 'serve'], {
    env: { OKORO_DATA_DIR: dataDir, OKORO_PORT: '0', OKORO_ADMIN_PORT: '0', ...env },
    until: (output) => /"public_url":"([^"]+)"/.exec(output)?.[1] ?? null,
    signal,
  })
  const admin: Admin = (method, path, body) =>
    new Promise((resolve, reject) => {
      const sent = request(
        {
          ...{ socketPath: join(dataDir, 'admin.sock'), method, path: `/api/v1${path}` },
          headers: { host: 'localhost', 'content-type': 'application/json' },
        },
        (response) => {
          let text = ''
          response.on('data', (chunk) => {
            text += chunk
          })
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, body: JSON.parse(text || '{}') }),
          )
        },
      )
      sent.once('error', reject)
      sent.end(body ? JSON.stringify(body) : undefined)
    })
  // The socket opens right after the line that was waited for.
  for (let left = 100; left > 0; left -= 1) {
    const isOpen = await admin('GET', '/status').catch(() => null)
    if (isOpen) break
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return { ...started, url: started.found, admin }
}

/**
 * Connects the demo person as a browser would: link, consent page, its form, callback. Its
 * application has no limit: suites call faster than one may, and those about limits set one.
 */
export async function connectWithings(
  gateway: Pick<GatewayProcess, 'url' | 'admin'>,
  sandbox: SandboxProcess,
): Promise<string> {
  const [clientId, clientSecret] = ['e2e-client', 'e2e-secret-of-the-application']
  const redirect = `${gateway.url}/connect/callback/withings`
  await sandbox.control('POST', '/applications', {
    ...{ client_id: clientId, client_secret: clientSecret, redirect_uris: [redirect] },
  })
  await gateway.admin('POST', '/applications', {
    ...{ provider: 'withings', client_id: clientId, client_secret: clientSecret, limit: 'none' },
  })
  const flow = await gateway.admin('POST', '/connect-flows', { provider: 'withings' })
  const begun = await fetch(flow.body.link ?? '', { redirect: 'manual' })
  const cookie = (begun.headers.get('set-cookie') ?? '').split(';')[0] ?? ''
  const consent = begun.headers.get('location') ?? ''
  const page = await (await fetch(consent)).text()
  const id = /name="request" value="([0-9a-f]+)"/.exec(page)?.[1] ?? ''
  const scopes = [...page.matchAll(/name="scope" value="([^"]+)"/g)].map((match) => match[1] ?? '')
  const form = new URLSearchParams([
    ['request', id],
    ['decision', 'allow'],
  ])
  for (const scope of scopes) form.append('scope', scope)
  const allowed = await fetch(new URL(consent).origin + new URL(consent).pathname, {
    ...{ method: 'POST', body: form, redirect: 'manual' as const },
  })
  const back = allowed.headers.get('location') ?? ''
  const done = await fetch(back, { headers: { cookie } })
  if (done.status !== 200) throw new Error(`connecting: ${done.status} ${await done.text()}`)
  return back
}

export async function exchange(
  url: string,
  serviceToken: string,
  body: object = { provider: 'withings', scope: 'read', intent: 'read what the watch measured' },
): Promise<Response> {
  return await fetch(`${url}/t/tokens`, {
    method: 'POST',
    headers: { authorization: `Bearer ${serviceToken}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
}

export const tokenOf = async (response: Response): Promise<string> =>
  ((await response.json()) as { token: string }).token

/** A folder that is gone when the tests are. */
export function folder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'okoro-e2e-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

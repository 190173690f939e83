import type { Application, Connection, Provider, Status } from '../gateway/admin-api.ts'
import { type AdminClient, itemsOf, segment } from '../gateway/admin-client.ts'
import { type Finding, fail, ok, warn } from './finding.ts'

/** What only the gateway knows: the database behind it, its URL, applications and connections. */
export async function checkGateway(admin: AdminClient): Promise<readonly Finding[]> {
  const status = await admin.call<Status>('GET', '/status')
  const [url, applications, connections] = await Promise.all([
    checkUrl(admin, status),
    checkApplications(admin),
    checkConnections(admin),
  ])
  return [
    admin.isRunning
      ? ok('gateway', `okoro ${status.version} is running as ${status.node}`)
      : warn('gateway', 'is not running', 'Start it: okoro serve'),
    ...checkDatabase(status),
    ok('root key', `${status.root_key} opens what is in the database`),
    ...url,
    ...Object.entries(status.sandboxes).map(([name, at]) => sandboxed(name, at)),
    ...applications,
    ...connections,
  ]
}

/** P1 and P3 stand on what the server does at a commit. */
function checkDatabase({ database, database_doubts: doubts }: Status): readonly Finding[] {
  const answers = ok('database', `${database} answers`)
  const finding = { fail, warn }
  return [
    answers,
    ...doubts.map(({ setting, value, state, message }) =>
      finding[state](
        'database',
        `${database} runs with ${setting}=${value}: ${message}`,
        `Set ${setting} = on in postgresql.conf and reload the server.`,
      ),
    ),
  ]
}

const sandboxed = (name: string, url: string): Finding =>
  warn('sandbox', `${name} is the sandbox at ${url}`, 'For real data, unset OKORO_SANDBOX.')

async function checkUrl(admin: AdminClient, { public_url: url }: Status): Promise<Finding[]> {
  const scheme = url.startsWith('https:')
    ? ok('public URL', `${url} is encrypted`)
    : warn('public URL', `${url} is plain HTTP: fine on this machine, on no network`, httpsAdvice)
  if (!admin.isRunning) return [scheme]
  const health = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(3_000) }).catch(
    () => null,
  )
  if (health?.ok) return [scheme, ok('reachable', `${url}/healthz answers`)]
  const seen = health === null ? 'does not answer' : `answers ${health.status}`
  const advice = 'Check the proxy in front of okoro, or set OKORO_PUBLIC_URL to what agents use.'
  return [scheme, warn('reachable', `${url}/healthz ${seen} from here`, advice)]
}

const httpsAdvice =
  'To be reached from elsewhere, put a TLS proxy in front and set OKORO_PUBLIC_URL=https://…'

async function checkApplications(admin: AdminClient): Promise<readonly Finding[]> {
  const all = await Array.fromAsync(itemsOf<Application>(admin, '/applications'))
  return all.map(({ provider, redirect_uri: uri, restriction, sandbox }) => {
    const name = sandbox ? `${provider} (sandbox)` : provider
    const message = `${name}: the redirect URI to register there is ${uri}`
    if (restriction === null || sandbox) return ok('application', message)
    return warn('application', message, `${restriction} ${unrestricted}`)
  })
}

const unrestricted = 'To lift that, set OKORO_PUBLIC_URL to an https name on port 443.'

/** Nothing is connected yet: what to bring, and what to register where. */
async function firstSteps(admin: AdminClient): Promise<readonly Finding[]> {
  const all = await Array.fromAsync(itemsOf<{ name: string }>(admin, '/providers'))
  if (all.length === 0)
    return [warn('providers', 'the catalogue is empty', 'Set OKORO_PROVIDERS_DIR.')]
  const providers = await Promise.all(
    all.map(({ name }) => admin.call<Provider>('GET', `/providers/${segment(name)}`)),
  )
  return [warn('connections', 'none yet', providers.map(firstStep).join(' '))]
}

function firstStep({ name, title, auth, redirect_uri: uri, restriction }: Provider): string {
  const command = `For ${title}, run: okoro connections add ${name}.`
  if (auth.credential !== null) return `${command} It asks for a ${auth.credential}.`
  const mind = restriction === null ? '' : ` Mind that: ${restriction}`
  return `${command} Redirect URI to register there: ${uri}.${mind}`
}

async function checkConnections(admin: AdminClient): Promise<readonly Finding[]> {
  const all = await Array.fromAsync(itemsOf<Connection>(admin, '/connections'))
  if (all.length === 0) return await firstSteps(admin)
  const broken = all.filter(({ status }) => status !== 'connected')
  const fine = all.length - broken.length
  return [
    ...(fine > 0 ? [ok('connections', `${fine} connected`)] : []),
    ...broken.map(({ provider, label, reason, id }) =>
      fail(
        'connection',
        `${provider} "${label}" must be made anew: ${reason ?? 'its credential no longer works'}`,
        `Run: okoro connections add ${provider} --reconnect ${id}`,
      ),
    ),
  ]
}

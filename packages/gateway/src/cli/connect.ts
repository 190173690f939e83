import type { Command } from 'commander'
import { registerApplication } from './applications.ts'
import { connectByPaste } from './connect/paste.ts'
import type { Application, Connection, Flow, FlowState, Provider } from './gateway/admin-api.ts'
import { type AdminClient, itemsOf, segment } from './gateway/admin-client.ts'
import { pause, type Session } from './session.ts'
import { Failure } from './terminal/failure.ts'

type Options = {
  readonly label?: string
  readonly owner?: string
  readonly clientId?: string
  readonly redirectUri?: string
  readonly reconnect?: string
  readonly confirmAccountChange?: boolean
}

/** Milliseconds between two looks at a flow. */
const pollMs = 500

export function addConnect(command: Command, session: Session): void {
  command
    .description(
      'Connect an account: by a link to a consent page, or by a credential that you paste',
    )
    .option('--label <label>', 'What to call it (default: default)')
    .option('--owner <ref>', 'Whose account it is: a reference to your own user')
    .option('--client-id <id>', 'Connect through this application; it is added when it is new')
    .option('--redirect-uri <uri>', 'Of a new application, where it is not the one of this gateway')
    .option('--reconnect <connection>', 'Make this connection anew')
    .option('--confirm-account-change', 'It may become a connection to another account')
    .addHelpText(
      'after',
      `
Which of the two it is, the provider says. What is pasted is asked for, or taken from
OKORO_CREDENTIAL, OKORO_CREDENTIAL_FILE or standard input, and tried at the provider once.

A link leads through your application there, which is added if need be. It is opened once, in the
browser of the account's owner. When the provider sends that browser somewhere that is not this
gateway, paste the address it ended on here; be quick, since codes live for seconds (30 at
Withings). Without a running gateway this command serves the callback itself until the account is
connected.

Examples:
  $ okoro connections add withings
  $ okoro connections add withings --label work --owner user-17
  $ OKORO_CLIENT_SECRET_FILE=secret.txt okoro connections add withings --client-id 0123abcd
  $ OKORO_CREDENTIAL_FILE=token.txt okoro connections add github --label work`,
    )
    .action((name: string, options: Options) =>
      session.withAdmin(async (admin) => {
        const provider = await admin.call<Provider>('GET', `/providers/${segment(name)}`)
        const connection = await connect(session, { admin, provider, options })
        if (session.output.isJson) return session.output.json(connection)
        const { label, id } = connection
        session.output.text(`${provider.title} is connected as "${label}" (${id}).`)
        const place = label === 'default' ? name : `${name}@${label}`
        session.output.note(
          `Next: okoro agents create NAME --grant ${name}:read`.replace(name, place),
        )
      }),
    )
}

/** First of all: a port that is taken is told before anybody has typed a secret. */
async function serveCallback({ output }: Session, admin: AdminClient): Promise<void> {
  output.note('No gateway is running: this command serves the callback until it is done.')
  await admin.serve()
}

type Connecting = {
  readonly admin: AdminClient
  readonly provider: Provider
  readonly options: Options
}

async function connect(session: Session, connecting: Connecting): Promise<Connection> {
  const { admin, provider, options } = connecting
  if (provider.auth.scheme === 'oauth2') return connectByConsent(session, connecting)
  const strayOptions = [
    ...(options.clientId === undefined ? [] : ['--client-id']),
    ...(options.redirectUri === undefined ? [] : ['--redirect-uri']),
  ]
  const request = await requestOf(connecting)
  return connectByPaste(session, { admin, provider, request, strayOptions })
}

async function connectByConsent(session: Session, connecting: Connecting): Promise<Connection> {
  const { admin, provider } = connecting
  if (!admin.isRunning) await serveCallback(session, admin)
  const application = await chooseApplication(session, connecting)
  const request = { ...(await requestOf(connecting)), application_id: application.id }
  const flow = await admin.call<Flow>('POST', '/connect-flows', request)
  announce(session, provider, flow)
  return finish(session, admin, flow)
}

/** What every way to connect takes. */
async function requestOf({ admin, provider, options }: Connecting): Promise<object> {
  const existing = options.reconnect
    ? await admin.call<Connection>('GET', `/connections/${segment(options.reconnect)}`)
    : null
  return {
    provider: provider.name,
    ...(options.label !== undefined && { label: options.label }),
    ...(options.owner !== undefined && { owner: options.owner }),
    ...(existing && { connection_id: existing.id }),
    ...(options.confirmAccountChange && { confirm_account_change: true }),
  }
}

async function chooseApplication(session: Session, connecting: Connecting): Promise<Application> {
  const { admin, provider, options } = connecting
  const path = `/applications?provider=${segment(provider.name)}`
  const all = await Array.fromAsync(itemsOf<Application>(admin, path))
  const usable = all.filter((one) => one.sandbox === (provider.sandbox !== null))
  const { clientId } = options
  const found =
    clientId === undefined ? usable.at(-1) : usable.find((one) => one.client_id === clientId)
  if (!found) return registerApplication(session, connecting)
  session.output.note(`Through application ${found.id}, whose client id is ${found.client_id}.`)
  return found
}

function announce({ output, input }: Session, provider: Provider, flow: Flow): void {
  const until = flow.expires_at.slice(11, 16)
  output.note(
    `\nOpen this link once, in the browser of the account's owner, before ${until} UTC:\n`,
  )
  output.note(`  ${flow.link}\n`)
  if (!input.isTerminal) return
  const lifetime = provider.code_lifetime_seconds ?? 0
  output.note('Waiting. If the browser ends on an address that does not load, paste it here and')
  output.note(`press Enter within ${lifetime} seconds: that is how long its code lives.`)
}

/** Whichever comes first: the browser at the callback, or its address pasted here. */
async function finish(session: Session, admin: AdminClient, flow: Flow): Promise<Connection> {
  const done = new AbortController()
  const signal = AbortSignal.any([session.stop, done.signal])
  try {
    return await Promise.race([
      waitForBrowser(session, admin, { flow, signal }),
      waitForPaste(session, admin, { flow, signal }),
    ])
  } finally {
    done.abort()
  }
}

type Waiting = { readonly flow: Flow; readonly signal: AbortSignal }

async function waitForBrowser(
  { output }: Session,
  admin: AdminClient,
  { flow, signal }: Waiting,
): Promise<Connection> {
  let seen: FlowState['status'] = 'begun'
  while (!signal.aborted) {
    const { status, connection_id: id } = await admin.call<FlowState>(
      'GET',
      `/connect-flows/${flow.id}`,
    )
    if (status === 'connected' && id !== null) {
      return admin.call<Connection>('GET', `/connections/${segment(id)}`)
    }
    if (status === 'expired') throw new Failure('failed', 'The link has expired: begin again.')
    if (status === 'failed') throw new Failure('refused', failed)
    if (status === 'opened' && seen === 'begun') output.note('The link was opened.')
    seen = status
    await pause(pollMs, signal)
  }
  throw new Failure('interrupted', 'Stopped. The account was not connected.')
}

const failed =
  'The account was not connected. The page in the browser says why, and so does ' +
  '`okoro audit list --kind connection.failed`.'

/** Wrong pastes use nothing up, so they may be tried again; never resolves when nobody pastes. */
async function waitForPaste(
  { input, output }: Session,
  admin: AdminClient,
  { flow, signal }: Waiting,
): Promise<Connection> {
  for (let line = await input.line(signal); line !== null; line = await input.line(signal)) {
    if (line === '') continue
    const body = { session: flow.session, redirect_url: line }
    try {
      return await admin.call<Connection>('POST', `/connect-flows/${flow.id}/pasted`, body)
    } catch (error) {
      if (!(error instanceof Failure) || error.ending !== 'refused') throw error
      output.note(error.message)
    }
  }
  return new Promise<never>(() => {})
}

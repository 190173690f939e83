import type { Command } from 'commander'
import type { Application, Provider } from './gateway/admin-api.ts'
import { type AdminClient, itemsOf, segment } from './gateway/admin-client.ts'
import type { AddCommand, Session } from './session.ts'
import { ask, askSecret, confirm } from './terminal/ask.ts'
import { Failure } from './terminal/failure.ts'
import {
  type CallLimit,
  type LimitChoice,
  limitSyntax,
  parseLimit,
  parseLimitChoice,
} from './terminal/limit-syntax.ts'

const secretName = 'OKORO_CLIENT_SECRET'

export const addApplications: AddCommand = (applications, session) => {
  addAdd(applications.command('add <provider>'), session)
  addList(applications.command('list'), session)
  addShow(applications.command('show <id>'), session)
  addLimit(applications.command('limit <id>'), session)
  addRotateSecret(applications.command('rotate-secret <id>'), session)
  addRemove(applications.command('remove <id>'), session)
}

type AddOptions = {
  readonly clientId?: string
  readonly redirectUri?: string
  readonly limit?: CallLimit
}

function addAdd(command: Command, session: Session): void {
  command
    .description('Add the application that you registered at a provider')
    .option('--client-id <id>', 'Its client id; asked for when missing')
    .option('--redirect-uri <uri>', 'Its redirect URI, where it is not the one of this gateway')
    .option(
      '--limit <requests/seconds>',
      'Calls that it may make, where they are others than the provider usually allows',
      parseLimit,
    )
    .addHelpText(
      'after',
      `
The client secret is asked for, or taken from ${secretName}, ${secretName}_FILE or standard input.

Examples:
  $ okoro applications add withings
  $ ${secretName}_FILE=secret.txt okoro applications add withings --client-id 0123abcd
  $ okoro applications add withings --limit 1500/60`,
    )
    .action((name: string, options: AddOptions) =>
      session.withAdmin(async (admin) => {
        const provider = await admin.call<Provider>('GET', `/providers/${segment(name)}`)
        const application = await registerApplication(session, { admin, provider, options })
        if (session.output.isJson) return session.output.json(application)
        session.output.text(`Application ${application.id} was added for ${provider.title}.`)
        session.output.note(`Next: okoro connections add ${provider.name}`)
      }),
    )
}

type Registering = {
  readonly admin: AdminClient
  readonly provider: Provider
  readonly options: AddOptions
}

/** Walks an operator through registering at the provider, and adds what they bring back. */
export async function registerApplication(
  session: Session,
  { admin, provider, options }: Registering,
): Promise<Application> {
  const { auth, title, name } = provider
  if (auth.scheme !== 'oauth2') {
    throw new Failure('usage', `${title} needs no application: okoro connections add ${name}`)
  }
  if (session.input.isTerminal && options.clientId === undefined)
    explain(session, provider, options)
  const clientId = options.clientId ?? (await ask(session, `Client id at ${provider.title}:`))
  const secret = await askSecret(session, secretName, `Client secret at ${provider.title}`)
  return admin.call<Application>('POST', '/applications', {
    ...{ provider: provider.name, client_id: clientId, client_secret: secret },
    ...(options.redirectUri !== undefined && { redirect_uri: options.redirectUri }),
    ...(options.limit !== undefined && { limit: options.limit }),
  })
}

function explain({ output }: Session, provider: Provider, { redirectUri }: AddOptions): void {
  output.note(`okoro needs an application of yours at ${provider.title}:`)
  output.note(`  1. Create one there (${provider.docs}).`)
  output.note('  2. Register this redirect URI for it:')
  output.note(`       ${redirectUri ?? provider.redirect_uri}`)
  if (provider.restriction !== null) output.note(`     Mind that: ${provider.restriction}`)
  output.note('  3. Bring its client id and client secret here.\n')
}

function addList(command: Command, session: Session): void {
  command
    .description('List all applications')
    .addHelpText('after', '\nExample:\n  $ okoro applications list')
    .action(() =>
      session.withAdmin(async (admin) => {
        const { output } = session
        const all = await Array.fromAsync(itemsOf<Application>(admin, '/applications'))
        if (output.isJson) return output.json(all)
        if (all.length === 0) output.note('No applications yet: okoro applications add PROVIDER')
        output.table(
          ['ID', 'PROVIDER', 'CLIENT ID', 'REDIRECT URI', 'LIMIT', 'CREATED'],
          all.map((one) => [
            ...[one.id, providerText(one), one.client_id, one.redirect_uri],
            ...[limitSyntax(one.limit), one.created_at],
          ]),
        )
      }),
    )
}

const providerText = ({ provider, sandbox }: Application): string =>
  sandbox ? `${provider} (sandbox)` : provider

const limitText = ({ limit, limit_is_default: isDefault }: Application): string => {
  const calls = limit === null ? 'none' : `${limit.requests} calls in ${limit.seconds} s`
  return isDefault ? `${calls} (as the provider file says)` : calls
}

function addShow(command: Command, session: Session): void {
  command
    .description('Show an application; never its secret')
    .addHelpText('after', '\nExample:\n  $ okoro applications show app_0123')
    .action((id: string) =>
      session.withAdmin(async (admin) => {
        const one = await admin.call<Application>('GET', `/applications/${segment(id)}`)
        if (session.output.isJson) return session.output.json(one)
        session.output.facts([
          ['id', one.id],
          ['provider', providerText(one)],
          ['client id', one.client_id],
          ['redirect URI', one.redirect_uri],
          ['limit', limitText(one)],
          ['created', one.created_at],
          ...(one.restriction === null ? [] : [['mind that', one.restriction] as const]),
        ])
      }),
    )
}

function addLimit(command: Command, session: Session): void {
  command
    .description('Change how many calls all connections of an application may make together')
    .argument('<limit>', 'REQUESTS/SECONDS, default or none', parseLimitChoice)
    .addHelpText(
      'after',
      `
The limit is a number of calls and a window in seconds, "default" for what the provider file says, or
"none". It holds at once, on all nodes.

Examples:
  $ okoro applications limit app_0123 1500/60
  $ okoro applications limit app_0123 default`,
    )
    .action((id: string, limit: LimitChoice) =>
      session.withAdmin(async (admin) => {
        const path = `/applications/${segment(id)}/limit`
        const one = await admin.call<Application>('PUT', path, { limit })
        if (session.output.isJson) return session.output.json(one)
        session.output.text(`Application ${one.id}: ${limitText(one)}.`)
      }),
    )
}

function addRotateSecret(command: Command, session: Session): void {
  command
    .description('Replace the client secret; connections go on with the new one')
    .addHelpText(
      'after',
      `\nExample:\n  $ ${secretName}_FILE=secret.txt okoro applications rotate-secret app_0123`,
    )
    .action((id: string) =>
      session.withAdmin(async (admin) => {
        const path = `/applications/${segment(id)}`
        const { provider } = await admin.call<Application>('GET', path)
        const secret = await askSecret(session, secretName, `New client secret at ${provider}`)
        const one = await admin.call<Application>('PUT', `${path}/secret`, {
          client_secret: secret,
        })
        if (session.output.isJson) return session.output.json(one)
        session.output.text(`Application ${one.id} has a new secret.`)
      }),
    )
}

function addRemove(command: Command, session: Session): void {
  command
    .description('Forget an application that no connection needs')
    .option('--yes', 'Do not ask')
    .addHelpText('after', '\nExample:\n  $ okoro applications remove app_0123')
    .action(async (id: string, { yes = false }: { readonly yes?: boolean }) => {
      if (!yes) await confirm(session, `Remove application ${id}?`)
      await session.withAdmin(async (admin) => {
        const one = await admin.call<Application>('DELETE', `/applications/${segment(id)}`)
        if (session.output.isJson) return session.output.json(one)
        session.output.text(`Application ${one.id} was removed.`)
      })
    })
}

import type { Command } from 'commander'
import { addConnect } from './connect.ts'
import type { Connection } from './gateway/admin-api.ts'
import { itemsOf, segment } from './gateway/admin-client.ts'
import type { AddCommand, Session } from './session.ts'
import { confirm } from './terminal/ask.ts'

export const addConnections: AddCommand = (connections, session) => {
  addConnect(connections.command('add <provider>'), session)
  addList(connections.command('list'), session)
  addShow(connections.command('show <connection>'), session)
  addTest(connections.command('test <connection>'), session)
  addRemove(connections.command('remove <connection>'), session)
}

function addList(command: Command, session: Session): void {
  command
    .description('List all connections')
    .addHelpText('after', '\nExample:\n  $ okoro connections list')
    .action(() =>
      session.withAdmin(async (admin) => {
        const { output } = session
        const all = await Array.fromAsync(itemsOf<Connection>(admin, '/connections'))
        if (output.isJson) return output.json(all)
        if (all.length === 0) output.note('No connections yet: okoro connections add PROVIDER')
        output.table(
          ['PROVIDER', 'LABEL', 'STATUS', 'OWNER', 'ID', 'CREATED'],
          all.map((one) => [
            ...[providerText(one), one.label, one.status, one.owner, one.id, one.created_at],
          ]),
        )
      }),
    )
}

const providerText = ({ provider, sandbox }: Connection): string =>
  sandbox ? `${provider} (sandbox)` : provider

function addShow(command: Command, session: Session): void {
  command
    .description('Show a connection: an id, PROVIDER, LABEL or PROVIDER@LABEL')
    .addHelpText('after', '\nExamples:\n  $ okoro connections show withings@default')
    .action((name: string) =>
      session.withAdmin(async (admin) => {
        const one = await admin.call<Connection>('GET', `/connections/${segment(name)}`)
        print(session, one)
      }),
    )
}

function addTest(command: Command, session: Session): void {
  command
    .description(
      'Check that a credential opens, renews when it is due, and works where that can be tried',
    )
    .addHelpText('after', '\nExample:\n  $ okoro connections test withings')
    .action((name: string) =>
      session.withAdmin(async (admin) => {
        const path = `/connections/${segment(name)}/test`
        const one = await admin.call<Connection>('POST', path)
        if (session.output.isJson) return session.output.json(one)
        session.output.text(`${providerText(one)} "${one.label}" works.`)
      }),
    )
}

function addRemove(command: Command, session: Session): void {
  command
    .description('Erase a credential here and end every token that reaches it')
    .option('--yes', 'Do not ask')
    .addHelpText('after', '\nExample:\n  $ okoro connections remove withings@default')
    .action(async (name: string, { yes = false }: { readonly yes?: boolean }) => {
      if (!yes) await confirm(session, `Remove connection ${name}? Its credential is erased.`)
      await session.withAdmin(async (admin) => {
        const one = await admin.call<Connection>('DELETE', `/connections/${segment(name)}`)
        if (session.output.isJson) return session.output.json(one)
        session.output.text(`${providerText(one)} "${one.label}" was removed.`)
        session.output.note(
          "What the account's owner allowed stays allowed at the provider until they end it there.",
        )
      })
    })
}

function print({ output }: Session, one: Connection): void {
  if (output.isJson) {
    output.json(one)
    return
  }
  output.facts([
    ['id', one.id],
    ['provider', providerText(one)],
    ['label', one.label],
    ['owner', one.owner],
    ['status', one.status],
    ...(one.reason === null ? [] : [['because', one.reason] as const]),
    ['account', one.account],
    ...(one.account_name === null ? [] : [['account name', one.account_name] as const]),
    ['granted', one.granted_scopes.join(' ')],
    ['credential until', one.expires_at ?? 'it is taken back'],
    ['created', one.created_at],
    ['changed', one.updated_at],
  ])
}

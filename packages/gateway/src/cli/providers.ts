import type { Command } from 'commander'
import { checkProvider } from '../catalog/check.ts'
import type { Provider, ProviderSummary } from './gateway/admin-api.ts'
import { itemsOf, segment } from './gateway/admin-client.ts'
import type { AddCommand, Session } from './session.ts'
import { Failure } from './terminal/failure.ts'

export const addProviders: AddCommand = (providers, session) => {
  addList(providers.command('list'), session)
  addShow(providers.command('show <name>'), session)
  addCheck(providers.command('check <dir>'), session)
}

function addList(command: Command, session: Session): void {
  command
    .description('List the catalogue')
    .addHelpText('after', '\nExample:\n  $ okoro providers list')
    .action(() =>
      session.withAdmin(async (admin) => {
        const all = await Array.fromAsync(itemsOf<ProviderSummary>(admin, '/providers'))
        if (session.output.isJson) return session.output.json(all)
        session.output.table(
          ['NAME', 'TITLE', 'RULES', 'REACHED AT', 'WHAT IS THERE'],
          all.map((one) => [
            ...[one.name, one.title, one.rule_count],
            ...[one.sandbox ? `sandbox ${one.sandbox}` : 'the real one', one.summary],
          ]),
        )
      }),
    )
}

function addShow(command: Command, session: Session): void {
  command
    .description('Show a provider: what an agent may do there, and which scope that takes')
    .addHelpText('after', '\nExample:\n  $ okoro providers show withings')
    .action((name: string) =>
      session.withAdmin(async (admin) => {
        const one = await admin.call<Provider>('GET', `/providers/${segment(name)}`)
        const { output } = session
        if (output.isJson) return output.json(one)
        output.facts([
          ['name', one.name],
          ['title', one.title],
          ['what is there', one.summary],
          ['docs', one.docs],
          ['facts checked', one.checked],
          ...howToConnect(one),
          ...(one.restriction === null ? [] : [['mind that', one.restriction] as const]),
          ...(one.sandbox === null ? [] : [['sandbox', one.sandbox] as const]),
          ['other paths', one.unknown_paths === 'refuse' ? 'refused' : 'need all'],
          ['closed', one.closed.join(' ')],
        ])
        output.text('')
        output.table(
          ['RULE', 'SCOPE', 'PATH', 'ACTION', 'WHAT IT DOES'],
          one.rules.map((rule) => [rule.id, rule.level, rule.path, rule.action, rule.summary]),
        )
      }),
    )
}

const howToConnect = ({ auth, redirect_uri: uri }: Provider): readonly Fact[] =>
  auth.credential === null
    ? [
        ['connected by', 'a consent page, through your application'],
        ['redirect URI', uri],
      ]
    : [
        ['connected by', `a ${auth.credential} that you paste`],
        ['made at', auth.page],
      ]

type Fact = readonly [name: string, value: string | null]

function addCheck(command: Command, session: Session): void {
  command
    .description('Validate a provider folder and run its cases')
    .addHelpText('after', '\nExample:\n  $ okoro providers check providers/withings')
    .action(async (dir: string) => {
      const { output } = session
      const { ok, findings, cases } = await checkProvider(dir)
      if (output.isJson) output.json({ ok, findings, cases })
      else {
        for (const finding of findings) output.text(`${output.style('red', 'wrong')}  ${finding}`)
        for (const one of cases.filter((each) => !each.ok)) {
          output.text(`${output.style('red', 'wrong')}  case "${one.name}": ${one.detail}`)
        }
        const right = cases.filter((each) => each.ok).length
        output.text(`${right} of ${cases.length} cases pass, ${findings.length} findings.`)
      }
      if (!ok) throw new Failure('failed', `${dir} is not right yet.`)
    })
}

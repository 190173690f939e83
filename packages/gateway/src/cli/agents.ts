import type { Command } from 'commander'
import type { Agent, Grant, NewAgent, Rotated, Status } from './gateway/admin-api.ts'
import { itemsOf, segment } from './gateway/admin-client.ts'
import type { AddCommand, Session } from './session.ts'
import { confirm } from './terminal/ask.ts'
import { parseDuration } from './terminal/duration.ts'
import { Failure } from './terminal/failure.ts'
import {
  collectGrants,
  describeGrant,
  type GrantRequest,
  grantsOf,
  grantText,
  type Narrowing,
  narrowed,
  narrowing,
  parseGrant,
} from './terminal/grant-syntax.ts'

export const addAgents: AddCommand = (agents, session) => {
  addCreate(agents.command('create <name>'), session)
  addList(agents.command('list'), session)
  addShow(agents.command('show <name>'), session)
  addGrant(agents.command('grant <name> <grant>'), session)
  addUngrant(agents.command('ungrant <name> <grant>'), session)
  addRotate(agents.command('rotate <name>'), session)
  addRevoke(agents.command('revoke <name>'), session)
}

type CreateOptions = Narrowing & {
  readonly grant: readonly GrantRequest[]
  readonly expires?: number
}

function addCreate(command: Command, session: Session): void {
  narrowing(
    command
      .description('Create an agent and print its service token, once')
      .option('--grant <grant>', 'PROVIDER:SCOPE[@CONNECTION]; may be repeated', collectGrants, [])
      .option('--expires <duration>', 'How long its service token lives, as in 90d', parseDuration),
  )
    .addHelpText(
      'after',
      `
Scopes are read, write, update, delete and all; each includes those before it.

Examples:
  $ okoro agents create coach --grant withings:read
  $ okoro agents create coach --grant withings:read@work --expires 90d
  $ okoro agents create coach --grant withings:read --except heart.get`,
    )
    .action(async (name: string, options: CreateOptions) => {
      const body = {
        name,
        grants: grantsOf(options),
        ...(options.expires !== undefined && { expires_in_seconds: options.expires }),
      }
      await session.withAdmin(async (admin) => {
        const agent = await admin.call<NewAgent>('POST', '/agents', body)
        const { public_url: publicUrl } = await admin.call<Status>('GET', '/status')
        printCreated(session, agent, publicUrl)
      })
    })
}

function printCreated({ output }: Session, agent: NewAgent, publicUrl: string): void {
  if (output.isJson) {
    output.json({ ...agent, url: publicUrl })
    return
  }
  output.note(`Agent ${agent.name} was created (${agent.id}).`)
  for (const grant of agent.grants) output.note(`  may ${describeGrant(grant)}`)
  if (agent.grants.length === 0) {
    output.note(`  may nothing yet: okoro agents grant ${agent.name} PROVIDER:SCOPE`)
  }
  output.note('\nGive it these two lines. The token is shown this once:\n')
  output.text(`export OKORO_URL=${publicUrl}`)
  output.text(`export OKORO_SERVICE_TOKEN=${agent.service_token}`)
}

function addList(command: Command, session: Session): void {
  command
    .description('List the agents that are not revoked')
    .option('--all', 'Those that were revoked, too')
    .addHelpText('after', '\nExamples:\n  $ okoro agents list\n  $ okoro agents list --all --json')
    .action(({ all: isAll = false }: { readonly all?: boolean }) =>
      session.withAdmin(async (admin) => {
        const path = isAll ? '/agents' : '/agents?status=active'
        const all = await Array.fromAsync(itemsOf<Agent>(admin, path))
        if (session.output.isJson) return session.output.json(all)
        if (all.length === 0) session.output.note('No agents: okoro agents create NAME')
        session.output.table(
          ['NAME', 'STATUS', 'MAY', 'CREATED'],
          all.map((agent) => [
            ...[agent.name, statusOf(agent), agent.grants.map(grantText).join(' ')],
            agent.created_at,
          ]),
        )
      }),
    )
}

/** Of an agent that lives as long as a process, it says so. */
const statusOf = ({ status, lives_until: livesUntil }: Agent): string =>
  status === 'active' && livesUntil !== null ? `${status}, leased` : status

function addShow(command: Command, session: Session): void {
  command
    .description('Show an agent with its grants and service tokens')
    .addHelpText('after', '\nExample:\n  $ okoro agents show coach')
    .action((name: string) =>
      session.withAdmin(async (admin) => {
        const agent = await admin.call<Agent>('GET', `/agents/${segment(name)}`)
        const { output } = session
        if (output.isJson) return output.json(agent)
        output.facts([
          ['name', agent.name],
          ['id', agent.id],
          ['status', agent.status],
          ['created', agent.created_at],
          ...(agent.revoked_at === null ? [] : [['revoked', agent.revoked_at] as const]),
          ...leaseFacts(agent),
        ])
        output.text('')
        output.table(
          ['GRANT', 'MAY'],
          agent.grants.map((grant) => [grant.id, describeGrant(grant)]),
        )
        output.text('')
        output.table(
          ['SERVICE TOKEN', 'STATUS', 'CREATED', 'EXPIRES'],
          agent.service_tokens.map((token) => [
            ...[token.id, token.status, token.created_at, token.expires_at ?? 'never'],
          ]),
        )
      }),
    )
}

const leaseFacts = ({ lives_until: until, lease_seconds: seconds }: Agent) =>
  until === null ? [] : [['lives until', `${until}, ${seconds} s after each sign of life`] as const]

function addGrant(command: Command, session: Session): void {
  narrowing(
    command.description('Let an agent reach a connection, in the place of what it may there now'),
  )
    .addHelpText(
      'after',
      `
Examples:
  $ okoro agents grant coach withings:update
  $ okoro agents grant coach withings:read@work --only measure.getmeas,sleep.getsummary`,
    )
    .action((name: string, text: string, options: Narrowing) =>
      session.withAdmin(async (admin) => {
        const path = `/agents/${segment(name)}/grants`
        const body = narrowed(parseGrant(text), options)
        const grant = await admin.call<Grant>('POST', path, body)
        if (session.output.isJson) return session.output.json(grant)
        session.output.text(`${name} may now ${describeGrant(grant)}.`)
      }),
    )
}

function addUngrant(command: Command, session: Session): void {
  command
    .description('Take a grant away, at once; GRANT is an id, a provider or PROVIDER@CONNECTION')
    .addHelpText('after', '\nExample:\n  $ okoro agents ungrant coach withings')
    .action((name: string, text: string) =>
      session.withAdmin(async (admin) => {
        const agent = await admin.call<Agent>('GET', `/agents/${segment(name)}`)
        const { id } = chooseGrant(agent, text)
        const path = `/agents/${segment(name)}/grants/${segment(id)}`
        const grant = await admin.call<Grant>('DELETE', path)
        if (session.output.isJson) return session.output.json(grant)
        session.output.text(`${agent.name} may no longer ${describeGrant(grant)}.`)
      }),
    )
}

function chooseGrant({ name, grants }: Agent, text: string): Grant {
  const found = grants.filter(({ id, provider, connection }) =>
    [id, provider, `${provider}@${connection}`].includes(text),
  )
  const [only, ...more] = found
  if (only && more.length === 0) return only
  const held = grants.map((grant) => `${grant.id} (${grantText(grant)})`).join(', ') || 'none'
  const what = only ? `means ${found.length} grants` : 'is no grant'
  throw new Failure('usage', `"${text}" ${what} of ${name}, who has: ${held}.`)
}

function addRotate(command: Command, session: Session): void {
  command
    .description('Print a new service token, once; the old one ends after a grace period')
    .option('--grace <duration>', 'How long the old one stays valid (default: 24h)', parseDuration)
    .option('--expires <duration>', 'How long the new one lives, as in 90d', parseDuration)
    .addHelpText(
      'after',
      '\nExamples:\n  $ okoro agents rotate coach\n  $ okoro agents rotate coach --grace 0s',
    )
    .action((name: string, options: { readonly grace?: number; readonly expires?: number }) =>
      session.withAdmin(async (admin) => {
        const { output } = session
        const rotated = await admin.call<Rotated>(
          'POST',
          `/agents/${segment(name)}/service-tokens`,
          {
            ...(options.grace !== undefined && { grace_seconds: options.grace }),
            ...(options.expires !== undefined && { expires_in_seconds: options.expires }),
          },
        )
        if (output.isJson) return output.json(rotated)
        output.note(`${rotated.agent} has a new service token, shown this once. Those from before`)
        output.note(`end at ${rotated.old_expire_at}.\n`)
        output.text(`export OKORO_SERVICE_TOKEN=${rotated.service_token}`)
      }),
    )
}

function addRevoke(command: Command, session: Session): void {
  command
    .description('End an agent with all its tokens, at once and for good')
    .option('--yes', 'Do not ask')
    .addHelpText('after', '\nExample:\n  $ okoro agents revoke coach')
    .action(async (name: string, { yes = false }: { readonly yes?: boolean }) => {
      if (!yes) await confirm(session, `Revoke ${name} for good?`)
      await session.withAdmin(async (admin) => {
        const agent = await admin.call<Agent>('POST', `/agents/${segment(name)}/revoke`)
        if (session.output.isJson) return session.output.json(agent)
        session.output.text(`${agent.name} is revoked; its tokens are refused from now on.`)
      })
    })
}

import { basename } from 'node:path'
import { InvalidArgumentError } from 'commander'
import type { NewAgent, Status } from './gateway/admin-api.ts'
import { type AdminClient, runningAdmin } from './gateway/admin-client.ts'
import { type ChildEnd, runChild } from './run-agent/child.ts'
import { agentEnvironment } from './run-agent/environment.ts'
import { keepLease, type Lease } from './run-agent/lease.ts'
import { endingLike, isInForeground, mustPassOn, takenSignals } from './run-agent/signals.ts'
import type { AddCommand, Session } from './session.ts'
import { durationText, parseDuration } from './terminal/duration.ts'
import {
  collectGrants,
  describeGrant,
  type GrantRequest,
  grantsOf,
  type Narrowing,
  narrowing,
} from './terminal/grant-syntax.ts'

type Options = Narrowing & {
  readonly grant: readonly GrantRequest[]
  readonly expires: number
  readonly lease: number
}

/** Milliseconds that the gateway has for one answer. */
const answerMs = 5_000

export const addRun: AddCommand = (command, session) => {
  narrowing(
    command
      .argument('<command...>', 'The command with its arguments, behind --')
      .requiredOption('--grant <grant>', 'PROVIDER:SCOPE[@CONNECTION]; repeatable', collectGrants)
      .option('--expires <duration>', 'The end at the latest (default: 8h)', parseDuration, 28_800)
      .option(
        '--lease <duration>',
        'How long it outlives an okoro run that was killed, 5s to 1h (default: 30s)',
        parseLease,
        30,
      ),
  )
    .addHelpText('after', help)
    .action((argv: readonly string[], options: Options) => run(session, argv, options))
}

const help = `
Creates an agent, runs COMMAND with OKORO_SERVICE_TOKEN and OKORO_URL in its environment (and no
other OKORO_ variable), and revokes the agent when COMMAND ends. When okoro run itself is killed or
stopped for longer than --lease, the agent ends by itself. Needs a running gateway.

What is granted is said in one line on standard error, with --json as JSON: standard output is
COMMAND's alone. The exit code is that of COMMAND, or its signal; 127 when there is no such
command and 126 when it can't be run. When COMMAND was not begun, those of okoro --help.

Examples:
  $ okoro run --grant withings:read -- claude
  $ okoro run --grant withings:read --except heart.get --expires 30m -- ./report.sh --weekly`

/** What a signal does just now; its meaning changes as the command begins and ends. */
type Receiver = { receive: (signal: NodeJS.Signals) => void }

async function run(session: Session, argv: readonly string[], options: Options): Promise<void> {
  const grants = grantsOf(options)
  const gone = new AbortController()
  const socket = { timeoutMs: answerMs, signal: gone.signal }
  const admin = await runningAdmin(session.settings().config, socket)
  let early: NodeJS.Signals | null = null
  const receiver: Receiver = {
    receive: (signal) => {
      if (signal !== 'SIGCONT') early ??= signal
    },
  }
  const letGo = session.takeSignals(takenSignals, (signal) => receiver.receive(signal))
  try {
    const { public_url: url } = await admin.call<Status>('GET', '/status')
    const agent = await createAgent(session, admin, { argv, options, grants })
    const lease = keepLease({
      admin,
      agent: leased(agent, options),
      say: (line) => say(session, line),
    })
    announce(session, agent, options)
    const end =
      early === null
        ? await runAs(session, argv, { agent, url, receiver })
        : { status: endingLike(early), message: null }
    await endLease(session, lease, { agent, receiver })
    if (end.message !== null) say(session, `${argv[0]}: ${end.message}`)
    session.endAs(end.status)
  } finally {
    gone.abort()
    letGo()
  }
}

type Wish = {
  readonly argv: readonly string[]
  readonly options: Options
  readonly grants: readonly GrantRequest[]
}

const createAgent = ({ random }: Session, admin: AdminClient, { argv, options, grants }: Wish) =>
  admin.call<NewAgent>('POST', '/agents', {
    ...{ name: agentName(argv[0] ?? '', random(4)), grants },
    ...{ expires_in_seconds: options.expires, lease_seconds: options.lease },
  })

/** `run-claude-3f9c01ab`: readable in the log, and its own for each run. */
export function agentName(command: string, random: Uint8Array): string {
  const word = basename(command)
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .slice(0, 40)
  const readable = word.replace(/^-+|-+$/g, '') || 'command'
  return `run-${readable}-${Buffer.from(random).toString('hex')}`
}

const leased = ({ id, name }: NewAgent, { lease: leaseSeconds }: Options) => ({
  ...{ id, name, leaseSeconds },
})

function announce(session: Session, agent: NewAgent, { expires }: Options): void {
  const { id, name, grants, service_tokens: tokens, lease_seconds } = agent
  const may = grants.map(describeGrant).join('; ')
  const line = `agent ${name} may ${may} until it ends, at most ${durationText(expires)}`
  const expires_at = tokens[0]?.expires_at ?? null
  say(session, line, { agent: name, agent_id: id, grants, expires_at, lease_seconds })
}

/** Standard output is the command's: whatever we have to say goes to standard error. */
function say({ output }: Session, message: string, facts: object = {}): void {
  output.note(output.isJson ? JSON.stringify({ message, ...facts }) : `okoro: ${message}`)
}

type Running = {
  readonly agent: NewAgent
  readonly url: string
  readonly receiver: Receiver
}

function runAs(
  session: Session,
  argv: readonly string[],
  { agent, url, receiver }: Running,
): Promise<ChildEnd> {
  const env = agentEnvironment(session.env, { url, serviceToken: agent.service_token })
  return runChild(
    () => session.startChild(argv, env),
    (child) => {
      receiver.receive = (signal) => {
        if (mustPassOn(signal, hasTerminal(session))) child.kill(signal)
      }
    },
  )
}

/** Where there is no /proc, a terminal on standard input says about the same. */
function hasTerminal({ readFile, input }: Session): boolean {
  const stat = readFile('/proc/self/stat')
  return stat === null ? input.isTerminal : isInForeground(stat)
}

type Ended = { readonly agent: NewAgent; readonly receiver: Receiver }

/** Whoever presses Ctrl-C once more does not wait: the lease does the rest. */
async function endLease(session: Session, lease: Lease, { agent, receiver }: Ended): Promise<void> {
  const giveUp = new AbortController()
  receiver.receive = (signal) => {
    if (signal !== 'SIGCONT') giveUp.abort()
  }
  const result = await lease.end(giveUp.signal)
  if (result === 'ended') return
  const within = `it ends by itself within ${agent.lease_seconds} s`
  say(session, `agent ${agent.name} could not be revoked; ${within}. ${result.message}`)
}

function parseLease(text: string): number {
  const seconds = parseDuration(text)
  if (seconds >= 5 && seconds <= 3600) return seconds
  throw new InvalidArgumentError('It is 5s to 1h.')
}

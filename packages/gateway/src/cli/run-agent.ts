import { basename } from 'node:path'
import { InvalidArgumentError } from 'commander'
import type { NewAgent, Status } from './gateway/admin-api.ts'
import { type AdminClient, runningAdmin } from './gateway/admin-client.ts'
import { type Receiver, runChild } from './run-agent/child.ts'
import { agentEnvironment } from './run-agent/environment.ts'
import { keepLease, type Lease } from './run-agent/lease.ts'
import { endingLike, takenSignals } from './run-agent/signals.ts'
import type { AddCommand, ExitStatus, Session } from './session.ts'
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

async function run(session: Session, argv: readonly string[], options: Options): Promise<void> {
  const grants = grantsOf(options)
  const gone = new AbortController()
  const socket = { timeoutMs: answerMs, signal: gone.signal }
  const admin = await runningAdmin(session.settings().config, socket)
  const receiver = beforeTheCommand()
  const letGo = session.takeSignals(takenSignals, (signal) => receiver.receive(signal))
  try {
    session.endAs(await live(session, { admin, argv, options, grants, receiver }))
  } finally {
    gone.abort()
    letGo()
  }
}

type Early = Receiver & { early: NodeJS.Signals | null }

/** A signal that comes before the command begins keeps it from beginning. */
function beforeTheCommand(): Early {
  const receiver: Early = {
    early: null,
    receive: (signal) => {
      if (signal !== 'SIGCONT') receiver.early ??= signal
    },
  }
  return receiver
}

type Life = {
  readonly admin: AdminClient
  readonly argv: readonly string[]
  readonly options: Options
  readonly grants: readonly GrantRequest[]
  readonly receiver: Early
}

/** From the agent's creation to its revocation, whatever becomes of the command. */
async function live(session: Session, life: Life): Promise<ExitStatus> {
  const { admin, argv, options, receiver } = life
  const { public_url: url } = await admin.call<Status>('GET', '/status')
  const agent = await createAgent(session, life)
  const { id, name, service_token: serviceToken } = agent
  const leased = { id, name, leaseSeconds: options.lease }
  const lease = keepLease({ admin, agent: leased, say: (line) => say(session, line) })
  announce(session, agent, options)
  const env = agentEnvironment(session.env, { url, serviceToken })
  const end =
    receiver.early === null
      ? await runChild(session, { argv, env, receiver })
      : { status: endingLike(receiver.early), message: null }
  await endLease(session, lease, { agent, receiver })
  if (end.message !== null) say(session, `${argv[0]}: ${end.message}`)
  return end.status
}

const createAgent = ({ random }: Session, { admin, argv, options, grants }: Life) =>
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

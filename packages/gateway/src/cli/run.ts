import { Command, CommanderError } from 'commander'
import {
  type Machine,
  type SettingKey,
  settingFlag,
  settingKeys,
  settings,
} from '../config/settings.ts'
import { loadConfig } from '../config.ts'
import type { Clock, Random } from '../words.ts'
import { commands } from './commands.ts'
import { type OpenApp, openAdminClient } from './gateway/admin-client.ts'
import type { ExitStatus, LoadedSettings, ProcessDoor, Session } from './session.ts'
import { type Ending, exitCodes, Failure } from './terminal/failure.ts'
import { createInput, type InputStream } from './terminal/input.ts'
import { createOutput, type OutputStream } from './terminal/output.ts'

/** The outside world, read once in main.ts. */
export type CliHost = Machine &
  ProcessDoor & {
    /** Without interpreter and script. */
    readonly argv: readonly string[]
    readonly stdin: InputStream
    readonly stdout: OutputStream
    readonly stderr: OutputStream
    /** Aborted by SIGINT and SIGTERM. */
    readonly stop: AbortSignal
    readonly clock: Clock
    readonly random: Random
    readonly gatewayVersion: string
    /** The text of a file, or null when there is none; throws when it can't be read. */
    readonly readFile: (path: string) => string | null
    readonly openApp: OpenApp
  }

/**
 * Runs one command line and resolves with the exit code (terminal/failure.ts has the table), or
 * with the signal to end by, for a command that stands for another one.
 */
export async function runCli(host: CliHost): Promise<ExitStatus> {
  const own = ownArguments(host.argv)
  const isJson = own.includes('--json')
  const program = createProgram(host, isJson)
  let status: ExitStatus = exitCodes.ok.code
  const session = createSession(host, program, {
    isJson,
    endAs: (given) => {
      status = given
    },
  })
  try {
    await addCommands(program, own, session)
    await program.parseAsync([...host.argv], { from: 'user' })
    return status
  } catch (error) {
    return tell(host, endingOf(error, host), isJson)
  } finally {
    session.input.close()
  }
}

/** What stands behind `--` is not said to us. */
function ownArguments(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf('--')
  return end === -1 ? argv : argv.slice(0, end)
}

function createProgram({ stdout, stderr, gatewayVersion }: CliHost, isJson: boolean): Command {
  const program = new Command('okoro')
    .description('A credential gateway for AI agents: they call APIs, and never hold the keys.')
    .version(gatewayVersion, '-V, --version', 'Print the version')
    .helpOption('-h, --help', 'Print what a command does, with examples')
    .helpCommand(false)
    .option('--json', 'Print the result as JSON; a failure too, on standard error')
    .option(
      '--config <file>',
      'Read settings from this file (default: okoro/okoro.yaml in ~/.config)',
    )
    .exitOverride()
    .showHelpAfterError('Add --help to see how it is used.')
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      // As JSON it is told in one piece, at the end.
      writeErr: (text) => void (isJson || stderr.write(text.replace(/^error: /, 'okoro: '))),
      getOutHelpWidth: () => Math.min(stdout.columns ?? 100, 100),
      getErrHelpWidth: () => Math.min(stderr.columns ?? 100, 100),
    })
    .addHelpText('after', rootHelp)
  for (const key of settingKeys) addSettingFlag(program, key)
  return program
}

function addSettingFlag(program: Command, key: SettingKey): void {
  const flag = settingFlag(key)
  if (flag === null) return
  const option = program.createOption(`${flag} <value>`, settings[key].about)
  program.addOption(key === 'dataDir' ? option : option.hideHelp())
}

const rootHelp = `
Every setting is a flag too: \`okoro config\` shows all of them, with their values.

Examples:
  $ okoro demo                                   try everything on made-up data
  $ okoro serve                                  start the gateway
  $ okoro connections add withings               connect an account
  $ okoro agents create coach --grant withings:read
  $ okoro audit tail --follow                    watch what agents do

Exit codes:
${Object.values(exitCodes)
  .map(({ code, about }) => `  ${String(code).padEnd(4)}${about}`)
  .join('\n')}`

/** Only the command that is about to run is loaded; of the others, name and summary will do. */
async function addCommands(program: Command, argv: readonly string[], session: Session) {
  for (const [name, { about, load }] of Object.entries(commands)) {
    const command = program.command(name).description(about)
    command.copyInheritedSettings(program).helpCommand(false)
    if (argv.includes(name)) (await load())(command, session)
  }
}

function createSession(
  host: CliHost,
  program: Command,
  { isJson, endAs }: Pick<Session, 'endAs'> & { readonly isJson: boolean },
): Session {
  const { stdout, stderr, env, clock, random, gatewayVersion, stop, openApp, readFile } = host
  const { takeSignals, stopItself, startChild } = host
  const output = createOutput({ stdout, stderr, isJson, hasColor: !env.NO_COLOR })
  let loaded: LoadedSettings | null = null
  const load: Session['settings'] = ({ withoutFile } = { withoutFile: false }) => {
    loaded ??= loadSettings(host, program, withoutFile)
    return loaded
  }
  return {
    ...{ output, env, clock, random, gatewayVersion, stop, openApp, readFile },
    ...{ takeSignals, stopItself, startChild, endAs },
    input: createInput(host.stdin),
    settings: load,
    withAdmin: async (work) => {
      const admin = await openAdminClient(load().config, openApp)
      try {
        return await work(admin)
      } finally {
        await admin.close()
      }
    },
  }
}

function loadSettings(host: CliHost, program: Command, withoutFile: boolean) {
  const { config: named, ...options } = program.opts<Record<string, string>>()
  const configFile = withoutFile ? null : named
  const flags = Object.fromEntries(
    settingKeys.flatMap((key) => (options[key] === undefined ? [] : [[key, options[key]]])),
  )
  const { env, home, hostname, readFile } = host
  const result = loadConfig({ flags, env, home, hostname, configFile, readFile })
  if (result.kind === 'problems') throw new Failure('usage', result.problems.join('\n'))
  for (const warning of result.warnings) host.stderr.write(`okoro: ${warning}\n`)
  return result
}

/** How a command ended that did not come to its end; what commander said itself has no `text`. */
type Ended = { readonly ending: Ending; readonly message: string; readonly text: string | null }

/** The one place where what went wrong becomes words and an exit code. */
function endingOf(error: unknown, { stop }: CliHost): Ended {
  if (error instanceof CommanderError) return { ...usageOf(error), text: null }
  if (stop.aborted) return { ending: 'interrupted', message: 'Stopped.', text: null }
  const ending = error instanceof Failure ? error.ending : 'failed'
  const message = error instanceof Error ? error.message : String(error)
  return { ending, message, text: message }
}

/** Asked for help or the version: commander calls that an error, too. */
function usageOf({ exitCode, code, message }: CommanderError): Omit<Ended, 'text'> {
  if (exitCode === 0) return { ending: 'ok', message: '' }
  if (code === 'commander.help') {
    return { ending: 'usage', message: 'A subcommand is missing: --help lists them.' }
  }
  return { ending: 'usage', message: message.replace(/^error: /, '') }
}

/** On standard error in both forms: what stands on standard output is a result. */
function tell({ stderr }: CliHost, { ending, message, text }: Ended, isJson: boolean): number {
  const { code } = exitCodes[ending]
  if (isJson && ending !== 'ok') {
    stderr.write(`${JSON.stringify({ error: ending, message, exit_code: code })}\n`)
  } else if (text !== null) {
    for (const line of text.split('\n')) stderr.write(`okoro: ${line}\n`)
  }
  return code
}

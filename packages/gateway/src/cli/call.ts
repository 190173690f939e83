import { createClient, OkoroError, type ScopeLevel } from '@okoro/client'
import { InvalidArgumentError } from 'commander'
import { isScope, scopes } from '../words.ts'
import type { AddCommand, Session } from './session.ts'
import { Failure } from './terminal/failure.ts'

type Options = {
  readonly intent: string
  readonly method?: string
  readonly scope: ScopeLevel
  readonly connection?: string
  readonly data?: string
}

export const addCall: AddCommand = (command, session) => {
  command
    .argument('<provider>')
    .argument('<path>', "The provider's own path, as in /v2/sleep")
    .requiredOption('--intent <text>', 'What you are about to do; it stands in every record')
    .option('--method <method>', 'POST with --data, else GET')
    .option('--scope <scope>', scopes.join(', '), parseScope, 'read')
    .option('--connection <label>', 'Which connection, where the agent may reach several')
    .option('--data <json>', 'JSON to send; - reads it from standard input')
    .addHelpText(
      'after',
      `
Needs OKORO_SERVICE_TOKEN (or OKORO_SERVICE_TOKEN_FILE) and, unless the gateway is on
http://127.0.0.1:8420, OKORO_URL. Prints the provider's answer as it came.

Examples:
  $ okoro call withings /measure --intent "see this week's weight" --data '{}'
  $ okoro call withings /v2/user --intent "list devices" --data '{"action":"getdevice"}'`,
    )
    .action(async (provider: string, path: string, options: Options) => {
      const client = createClient({
        serviceToken: serviceToken(session),
        ...(session.env.OKORO_URL && { url: session.env.OKORO_URL }),
      })
      const data = await readData(session, options.data)
      const { intent, scope, method, connection } = options
      const answer = await client
        .call({
          ...{ provider, path, intent, scope, signal: session.stop },
          ...(method !== undefined && { method: method.toUpperCase() }),
          ...(connection !== undefined && { connection }),
          ...(data !== undefined && {
            body: data,
            headers: { 'content-type': 'application/json' },
          }),
        })
        .catch((error: unknown) => {
          throw failureOf(error, session)
        })
      await printAnswer(session, answer)
    })
}

function serviceToken({ env, readFile }: Session): string {
  const path = env.OKORO_SERVICE_TOKEN_FILE
  const token = env.OKORO_SERVICE_TOKEN || (path && readFile(path)?.trim())
  if (token) return token
  throw new Failure(
    'usage',
    'OKORO_SERVICE_TOKEN is not set: `okoro agents create NAME --grant PROVIDER:SCOPE` prints one.',
  )
}

async function readData({ input }: Session, data: string | undefined): Promise<string | undefined> {
  if (data === undefined) return undefined
  const text = data === '-' ? await input.rest() : data
  try {
    JSON.parse(text)
    return text
  } catch {
    throw new Failure('usage', '--data is no JSON, as in \'{"action":"getmeas"}\'.')
  }
}

async function printAnswer({ output }: Session, answer: Response): Promise<void> {
  const body = await answer.text()
  if (output.isJson) {
    const headers = Object.fromEntries(answer.headers)
    output.json({ status: answer.status, headers, body: parsed(body) })
  } else {
    output.text(body)
  }
  if (answer.status >= 400) throw new Failure('refused', `The provider answered ${answer.status}.`)
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return body
  }
}

function failureOf(error: unknown, { env, stop }: Session): unknown {
  if (stop.aborted) return new Failure('interrupted', 'Stopped.')
  if (error instanceof OkoroError) {
    const ending = error.status === 503 ? 'unreachable' : 'refused'
    return new Failure(ending, `${error.message} (${error.code})`, { cause: error })
  }
  // The client throws this before it asks for a token.
  if (error instanceof TypeError && /^(?:path|provider) /.test(error.message)) {
    return new Failure('usage', `The ${error.message}.`, { cause: error })
  }
  // What `fetch` throws when nobody listens says nothing but "fetch failed".
  if (!(error instanceof TypeError) || error.cause === undefined) return error
  const url = env.OKORO_URL || 'http://127.0.0.1:8420'
  const message = `No gateway answers at ${url}: start one with \`okoro serve\`, or set OKORO_URL.`
  return new Failure('unreachable', message, { cause: error })
}

function parseScope(text: string): ScopeLevel {
  if (isScope(text)) return text
  throw new InvalidArgumentError(`It is one of ${scopes.join(', ')}.`)
}

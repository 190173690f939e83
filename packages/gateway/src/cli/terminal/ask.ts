import type { Env } from '../../config/settings.ts'
import { Failure } from './failure.ts'
import type { Input } from './input.ts'
import type { Output } from './output.ts'

type Asking = {
  readonly input: Input
  readonly output: Output
  readonly env: Env
  readFile(path: string): string | null
}

/** Asks a person; ends the command when nobody can answer. */
export async function ask({ input, output }: Asking, question: string): Promise<string> {
  if (input.isTerminal) output.note(question)
  const answer = await input.line()
  if (answer) return answer
  throw new Failure('usage', `Nothing was given for: ${question}`)
}

/**
 * A secret out of `name`, out of the file that `name_FILE` names, or typed without being shown; in
 * a pipe it is a line of standard input. Never an argument: those stand in the list of processes.
 */
export async function askSecret(asking: Asking, name: string, question: string): Promise<string> {
  const { env, input, output } = asking
  const path = env[`${name}_FILE`]
  const given = env[name] || (path && asking.readFile(path)?.trim())
  if (given) return given
  if (path) throw new Failure('usage', `${name}_FILE: there is nothing in ${path}.`)
  if (input.isTerminal) output.note(`${question} (it is not shown)`)
  const typed = await input.hiddenLine()
  if (typed) return typed
  throw new Failure(
    'usage',
    `${question}: give it in ${name}, in ${name}_FILE or on standard input.`,
  )
}

/** Goes on only when a person says yes; scripts say `--yes`. */
export async function confirm({ input, output }: Asking, question: string): Promise<void> {
  if (!input.isTerminal) throw new Failure('usage', `${question} Add --yes when nobody can answer.`)
  output.note(`${question} [y/N]`)
  const answer = (await input.line()) ?? ''
  if (!/^y(es)?$/i.test(answer)) throw new Failure('failed', 'Nothing was done.')
}

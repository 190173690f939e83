import type { ErrorCode, Problem } from './wire.ts'

type OkoroErrorInit = {
  readonly code: ErrorCode
  readonly message: string
  readonly status: number
  readonly problem?: Problem | undefined
}

/**
 * A refusal or failure that the gateway itself answered with; a provider's own error is a plain
 * Response. `code` is stable and listed in the docs, `unexpected_answer` stands for an answer that
 * no okoro gateway gives (a wrong URL, a proxy in between).
 *
 * @example
 * try {
 *   await okoro.call({ provider: 'withings', path: '/v2/user', intent: 'list the devices' })
 * } catch (error) {
 *   if (error instanceof OkoroError && error.code === 'needs_reconnect') askThePerson(error.message)
 *   else throw error
 * }
 */
export class OkoroError extends Error {
  override readonly name = 'OkoroError'
  readonly code: ErrorCode
  /** The HTTP status. */
  readonly status: number
  /** The whole problem document, where the answer had one. */
  readonly problem: Problem | undefined

  constructor({ code, message, status, problem }: OkoroErrorInit) {
    super(message)
    this.code = code
    this.status = status
    this.problem = problem
  }
}

/** Reads the problem out of an answer that carries `okoro-error`, or that should have been a token. */
export async function readProblem(response: Response): Promise<OkoroError> {
  const { status } = response
  const problem = asProblem(await readJson(response))
  const code = response.headers.get('okoro-error') ?? problem?.error ?? 'unexpected_answer'
  const message = problem?.message ?? `The gateway answered ${status} (${code}) without a problem.`
  return new OkoroError({ code, message, status, problem })
}

export async function readJson(response: Response): Promise<unknown> {
  try {
    return JSON.parse(await response.text())
  } catch {
    return undefined
  }
}

function asProblem(value: unknown): Problem | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { error, message } = value as Partial<Problem>
  return typeof error === 'string' && typeof message === 'string' ? (value as Problem) : undefined
}

import type { Context } from 'hono'
import { z } from 'zod'
import { isRefusal, problem, type Refusal, refuse } from '../errors.ts'
import { Secret } from '../secret.ts'

/** What every route of this door finds beside its request. */
export type AdminEnv = {
  readonly Variables: { readonly requestId: string; readonly publicUrl: string }
}

export type AdminContext = Context<AdminEnv>

/** JSON for a value, a problem for a refusal: the one place where this door's answers are made. */
export function answer(
  context: AdminContext,
  result: object | Refusal,
  status: 200 | 201 = 200,
): Response {
  if (!isRefusal(result)) return context.json(result, status, { 'cache-control': 'no-store' })
  const { status: code, headers, body } = problem(result, context.var)
  return new Response(body, { status: code, headers })
}

/** The JSON body as the schema wants it, or a refusal that names the first member that is wrong. */
export async function readBody<S extends z.ZodType>(
  context: AdminContext,
  schema: S,
): Promise<z.output<S> | Refusal> {
  const type = context.req.header('content-type') ?? ''
  if (!/^application\/json\s*(;|$)/i.test(type)) {
    return refuse('invalid_request', 'The Content-Type must be application/json.')
  }
  const text = await context.req.text()
  try {
    return parseInput(JSON.parse(text), schema)
  } catch {
    return refuse('invalid_request', 'The body is no JSON.')
  }
}

/** The query as the schema wants it; every value in it is text. */
export function readQuery<S extends z.ZodType>(
  context: AdminContext,
  schema: S,
): z.output<S> | Refusal {
  return parseInput(context.req.query(), schema)
}

function parseInput<S extends z.ZodType>(value: unknown, schema: S): z.output<S> | Refusal {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const member = issue?.path.join('.') || 'the request'
  return refuse('invalid_request', `${member}: ${issue?.message ?? 'is not valid'}.`)
}

/** RFC 3339, UTC, for a time that may be none. */
export const timeOf = (ms: number | null): string | null =>
  ms === null ? null : new Date(ms).toISOString()

/** A name that people type: what a shell, a URL and a table take without quoting. */
export const nameInput = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    'must be 1 to 64 letters, digits, dots, dashes or underscores',
  )

/** A secret that somebody pasted: what stands around it was not meant. */
export const secretInput = z
  .string()
  .trim()
  .min(1)
  .max(4096)
  .transform((value) => new Secret(value))

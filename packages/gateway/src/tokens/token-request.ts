import { z } from 'zod'
import { type Refusal, refuse } from '../errors.ts'
import { scopes } from '../words.ts'

/** What an agent asks of the exchange, valid as far as that can be seen without the database. */
export type TokenRequest = z.output<typeof tokenRequest>

const text = (what: string) => z.string(`must be ${what}`)
const reserved = z.undefined('is reserved and means nothing yet: leave it out').optional()

/** CONTRACT.md, "POST /t/tokens". Unknown members are ignored, `refresh_token` of old clients too. */
export const tokenRequest = z.object(
  {
    provider: text("a provider's name").min(1, 'must not be empty'),
    scope: z.enum(scopes, `must be one of ${scopes.join(', ')}`),
    intent: text('a text that says what you are about to do')
      .refine((value) => value.isWellFormed(), 'must be well-formed Unicode')
      .transform((value) => value.trim())
      .refine((value) => !/\p{Cc}/u.test(value), 'must not contain control characters')
      .refine(isIntentLength, 'must have 3 to 500 characters, not counting space around it'),
    connection: text('the id or label of a connection').min(1, 'must not be empty').optional(),
    actions: z
      .array(text('a rule id'), 'must be a list of rule ids')
      .min(1, 'must name at least one rule')
      .max(100, 'must not name more than 100 rules')
      .optional(),
    ttl: z
      .int('must be a whole number of seconds')
      .min(30, 'must be at least 30 seconds')
      .max(900, 'must be at most 900 seconds')
      .default(300),
    on_behalf_of: reserved,
    subject_token: reserved,
  },
  'must be a JSON object',
)

/** The request in a body (JSON text), or `invalid_request` that names the first wrong member. */
export function parseTokenRequest(body: string): TokenRequest | Refusal {
  const { success, data, error } = tokenRequest.safeParse(readJson(body))
  if (success) return data
  const [issue] = error.issues
  const where = issue?.path.length ? `\`${issue.path.join('.')}\`` : 'The body'
  return refuse('invalid_request', `${where} ${issue?.message ?? 'is not valid'}.`)
}

function readJson(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

/** Characters are code points: what people count, in whatever script. */
function isIntentLength(intent: string): boolean {
  const { length } = [...intent]
  return length >= 3 && length <= 500
}

import { z } from 'zod'
import { mistake, word } from './vocabulary.ts'

/** What a provider allows, how it says that this was too much, and the limits of one call. */

const waitFile = z
  .strictObject({
    seconds_at: word.pointer.optional().describe('Where the seconds to wait stand in the answer.'),
    header: word.answerHeader
      .optional()
      .describe('The header with the seconds to wait, or a date (RFC 9110, section 10.2.3).'),
    reset_header: word.answerHeader
      .optional()
      .describe('The header with the end of the wait in seconds since the Unix epoch.'),
    otherwise_seconds: word.positive.describe('What is waited when the answer does not say.'),
  })
  .describe('How long to wait. What is there first counts: body, header, reset header.')

const tooManyFile = z
  .strictObject({
    status: z
      .array(z.int())
      .min(1)
      .describe("The answer's own status: the envelope's where there is one, else HTTP's."),
    message: z
      .string()
      .min(1)
      .optional()
      .describe('A part of the error text, in any letter case, that must be there too.'),
    headers: z
      .array(
        z.strictObject({
          name: word.answerHeader,
          is: z.string().min(1).optional().describe('Its value; any one when absent.'),
        }),
      )
      .default([])
      .describe('Headers that the answer must have too, all of them.'),
    pauses: z
      .boolean()
      .describe('Whether it is about everything that is connected through this application.'),
    wait: waitFile,
    source: word.source,
  })
  .describe('An answer that says: too many calls. The first that fits counts.')

export const limitsFile = z
  .strictObject({
    application: z
      .strictObject({ requests: word.positive, seconds: word.positive, source: word.source })
      .optional()
      .describe('What the provider allows one application, over all its connections.'),
    too_many: z
      .array(tooManyFile)
      .default([])
      .describe('How the provider says that it was too many calls.'),
    max_body_bytes: word.positive
      .default(1_048_576)
      .describe('The largest request body that is taken from an agent.'),
    first_byte_seconds: word.positive
      .default(30)
      .describe('How long the provider may take until its answer begins.'),
    idle_seconds: word.positive.default(30).describe('How long its answer may then stand still.'),
  })
  .describe('Limits of the provider and of a call.')

type LimitsFile = z.output<typeof limitsFile>

/** Never more than `requests` calls in any window of `seconds`. */
export type CallLimit = { readonly requests: number; readonly seconds: number }

/** An answer that says: too many calls. */
export type TooMany = {
  readonly status: ReadonlySet<number>
  /** Lower case; null when the text does not matter. */
  readonly message: string | null
  readonly headers: readonly { readonly name: string; readonly is: string | null }[]
  /** About the whole application; else about this one call. */
  readonly pauses: boolean
  readonly wait: {
    /** A JSON pointer into the answer. */
    readonly secondsAt: string | null
    readonly header: string | null
    readonly resetHeader: string | null
    readonly otherwiseSeconds: number
  }
}

export type Limits = {
  readonly application: CallLimit | null
  readonly tooMany: readonly TooMany[]
  /** All of their statuses. */
  readonly tooManyStatuses: ReadonlySet<number>
  /** The statuses whose answers have to be held until their text is known. */
  readonly heldStatuses: ReadonlySet<number>
  readonly maxBodyBytes: number
  readonly firstByteSeconds: number
  readonly idleSeconds: number
}

/** Throws a Malfunction for a text to be read where no envelope says how. */
export function compileLimits(file: LimitsFile, hasEnvelope: boolean): Limits {
  const tooMany = file.too_many.map((each) => compileTooMany(each, hasEnvelope))
  const { application } = file
  return {
    application: application
      ? { requests: application.requests, seconds: application.seconds }
      : null,
    tooMany,
    tooManyStatuses: statusesOf(tooMany),
    heldStatuses: statusesOf(tooMany.filter(readsBody)),
    maxBodyBytes: file.max_body_bytes,
    firstByteSeconds: file.first_byte_seconds,
    idleSeconds: file.idle_seconds,
  }
}

const statusesOf = (some: readonly TooMany[]) => new Set(some.flatMap(({ status }) => [...status]))

const readsBody = ({ message, wait }: TooMany) => message !== null || wait.secondsAt !== null

function compileTooMany(file: LimitsFile['too_many'][number], hasEnvelope: boolean): TooMany {
  const { message, headers, pauses, wait } = file
  const compiled: TooMany = {
    status: new Set(file.status),
    message: message?.toLowerCase() ?? null,
    headers: headers.map(({ name, is = null }) => ({ name, is })),
    pauses,
    wait: {
      secondsAt: wait.seconds_at ?? null,
      header: wait.header ?? null,
      resetHeader: wait.reset_header ?? null,
      otherwiseSeconds: wait.otherwise_seconds,
    },
  }
  if (readsBody(compiled) && !hasEnvelope) {
    mistake('limits.too_many', 'message and seconds_at need an envelope')
  }
  return compiled
}

import { z } from 'zod'
import { word } from '../vocabulary.ts'

export const probeFile = z
  .strictObject({
    host: word.name.default('api').describe('The name of the host in `hosts`.'),
    path: word.path.describe('What is read, with GET: something that every credential may read.'),
    account: word.pointer.describe(
      "Where the account's own id stands in the answer: a string or an integer that no rename changes.",
    ),
    account_name: word.pointer
      .optional()
      .describe('Where the name that people know the account by stands.'),
    refused: z
      .array(z.int())
      .min(1)
      .describe('The HTTP statuses that mean: this credential is not valid.'),
    message: word.pointer.describe('Where the error text stands.'),
    source: word.source,
  })
  .describe('A harmless call that tells whether a credential works, and whose it is.')

type ProbeFile = z.output<typeof probeFile>

export type Probe = {
  readonly url: string
  /** JSON pointers into the answer. */
  readonly account: string
  readonly accountName: string | null
  readonly message: string
  readonly refused: readonly number[]
}

export const compileProbe = (
  { host, path, account, account_name, message, refused }: ProbeFile,
  originOf: (host: string, where: string) => string,
): Probe => ({
  url: originOf(host, 'auth.probe.host') + path,
  ...{ account, accountName: account_name ?? null, message, refused },
})

import { z } from 'zod'

export const injectFile = z
  .discriminatedUnion('scheme', [
    z.strictObject({
      scheme: z.literal('bearer').describe('`Authorization: Bearer <secret>` (RFC 6750).'),
      secret: z
        .string()
        .default('access_token')
        .describe('The name of the secret within the credential.'),
    }),
  ])
  .describe('The slots of a request that the credential is put into.')

/** Which slots the credential is put into: inject/inject.ts has one function per scheme. */
export type Inject = z.output<typeof injectFile>

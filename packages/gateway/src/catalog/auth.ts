import { z } from 'zod'
import { type ApiKey, apiKeyFile, compileApiKey } from './auth/api-key.ts'
import { compileOAuth2, type OAuth2, oauth2File } from './auth/oauth2.ts'
import type { SchemeContext } from './auth/scheme.ts'

/**
 * How a connection's credential comes to be, is kept fresh, and enters a request. A scheme is one
 * file in `auth/`, and one line in each of the two tables here.
 */

export const authFile = z
  .discriminatedUnion('scheme', [oauth2File, apiKeyFile])
  .describe('How an account is connected and how its credential is used.')

export type Auth = OAuth2 | ApiKey

type AuthFile = z.output<typeof authFile>
type Compilers = {
  readonly [scheme in Auth['scheme']]: (
    file: Extract<AuthFile, { scheme: scheme }>,
    context: SchemeContext,
  ) => Extract<Auth, { scheme: scheme }>
}

const compilers: Compilers = { oauth2: compileOAuth2, api_key: compileApiKey }

export function compileAuth<Name extends Auth['scheme']>(
  file: Extract<AuthFile, { scheme: Name }>,
  context: SchemeContext,
): Auth {
  return compilers[file.scheme as Name](file, context)
}

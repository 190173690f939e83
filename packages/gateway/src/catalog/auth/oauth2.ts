import { z } from 'zod'
import { word } from '../vocabulary.ts'
import { injectFile } from './inject.ts'
import type { Scheme, SchemeContext } from './scheme.ts'

/** The authorization code grant of RFC 6749, and where providers leave it. */

const authorizeFile = z
  .strictObject({
    host: word.name.describe('The name of the host in `hosts`.'),
    path: word.path.describe('The page where the account owner consents.'),
    parameters: z
      .record(z.string(), z.string())
      .default({})
      .describe('Parameters beyond those of RFC 6749.'),
    scope_separator: z.string().default(' ').describe('What stands between two scopes.'),
    source: word.source,
  })
  .describe('The authorization endpoint.')

const answerFile = z
  .strictObject({
    members: word.pointer
      .default('')
      .describe("Where RFC 6749's members (`access_token` …) stand in the answer."),
    status: word.pointer
      .optional()
      .describe('Where the true status stands, for providers that fail with HTTP 200.'),
    ok: z.array(z.int()).default([0]).describe('The values of that status that mean success.'),
    message: word.pointer.default('/error').describe('Where the error text stands.'),
    account: word.pointer
      .optional()
      .describe('The account that was connected: a string or an integer.'),
    scope_separator: z.string().default(' ').describe('What stands between two granted scopes.'),
  })
  .describe("How the token endpoint's answers are read. Pointers start at the whole answer.")

const deadFile = z
  .strictObject({
    status: z
      .array(z.int())
      .min(1)
      .describe("The answer's own status; the HTTP status where it has none."),
    message: z
      .string()
      .min(1)
      .describe('A part of the error text, in any letter case, that must be there too.'),
    source: word.source,
  })
  .describe('An answer to a refresh after which only a new consent helps.')

const tokenFile = z
  .strictObject({
    host: word.name.describe('The name of the host in `hosts`.'),
    path: word.path.describe('The token endpoint. `closed` must cover it.'),
    parameters: z
      .record(z.string(), z.string())
      .default({})
      .describe('Parameters beyond those of RFC 6749, in every token request.'),
    client_authentication: z
      .enum(['body', 'basic'])
      .describe('Client id and secret as parameters, or as HTTP Basic.'),
    answer: answerFile.prefault({}),
    dead: z.array(deadFile).default([]),
    rotates: z.boolean().describe('Whether each refresh brings a new refresh token.'),
    code_lifetime_seconds: word.positive.describe('How long a code can be exchanged.'),
    source: word.source,
  })
  .describe('The token endpoint and its dialect.')

const redirectUriFile = z
  .strictObject({
    https: z.boolean().describe('Whether it must be https.'),
    dns_name: z.boolean().describe('Whether the host must be a name: no address, no localhost.'),
    ports: z.array(z.int()).default([]).describe('The ports that it may have; empty for any.'),
    max_length: word.positive.optional().describe('In characters.'),
    otherwise: word.sentence.describe('What becomes of an application that breaks these rules.'),
    source: word.source,
  })
  .describe('What the provider demands of a redirect URI.')

export const oauth2File = z.strictObject({
  scheme: z.literal('oauth2').describe('The authorization code grant of RFC 6749.'),
  pkce: z.enum(['none', 'S256']).describe('RFC 7636, where the provider has it.'),
  authorize: authorizeFile,
  token: tokenFile,
  scopes: z
    .array(
      z.strictObject({
        name: z.string().min(1),
        summary: word.sentence.describe('What the account owner gives away with it.'),
      }),
    )
    .describe("The provider's own scopes; all are asked for."),
  redirect_uri: redirectUriFile.optional(),
  inject: injectFile,
})

/** The authorization code grant, with everything in which this provider is irregular. */
export type OAuth2 = Scheme & {
  readonly scheme: 'oauth2'
  readonly pkce: 'none' | 'S256'
  readonly authorize: {
    readonly url: string
    readonly parameters: Readonly<Record<string, string>>
    readonly scopeSeparator: string
  }
  readonly token: {
    readonly url: string
    readonly parameters: Readonly<Record<string, string>>
    readonly clientAuthentication: 'body' | 'basic'
    readonly answer: TokenAnswer
    /** Answers after which only a new consent helps. */
    readonly dead: readonly { readonly status: readonly number[]; readonly message: string }[]
    readonly rotates: boolean
    readonly codeLifetimeSeconds: number
  }
  readonly scopes: readonly { readonly name: string; readonly summary: string }[]
  readonly redirectUri: RedirectUriRule | null
}

/** JSON pointers into the token endpoint's answer; each starts at the whole answer. */
export type TokenAnswer = {
  readonly members: string
  readonly status: string | null
  readonly ok: readonly number[]
  readonly message: string
  readonly account: string | null
  readonly scopeSeparator: string
}

export type RedirectUriRule = {
  readonly https: boolean
  readonly dnsName: boolean
  readonly ports: readonly number[]
  readonly maxLength: number | null
  readonly otherwise: string
}

export function compileOAuth2(
  file: z.output<typeof oauth2File>,
  { originOf, mustBeClosed }: SchemeContext,
): OAuth2 {
  const { authorize, token, redirect_uri } = file
  const tokenOrigin = originOf(token.host, 'auth.token.host')
  mustBeClosed(token.host, token.path)
  return {
    ...{ scheme: file.scheme, probe: null, origins: [tokenOrigin], isRenewable: true },
    pkce: file.pkce,
    authorize: {
      url: originOf(authorize.host, 'auth.authorize.host') + authorize.path,
      parameters: authorize.parameters,
      scopeSeparator: authorize.scope_separator,
    },
    token: {
      url: tokenOrigin + token.path,
      parameters: token.parameters,
      clientAuthentication: token.client_authentication,
      answer: {
        members: token.answer.members,
        status: token.answer.status ?? null,
        ok: token.answer.ok,
        message: token.answer.message,
        account: token.answer.account ?? null,
        scopeSeparator: token.answer.scope_separator,
      },
      dead: token.dead,
      rotates: token.rotates,
      codeLifetimeSeconds: token.code_lifetime_seconds,
    },
    scopes: file.scopes,
    redirectUri: redirect_uri
      ? {
          https: redirect_uri.https,
          dnsName: redirect_uri.dns_name,
          ports: redirect_uri.ports,
          maxLength: redirect_uri.max_length ?? null,
          otherwise: redirect_uri.otherwise,
        }
      : null,
    inject: file.inject,
  }
}

import { z } from 'zod'
import { type ErrorCode, errors, isRefusal, type Refusal } from '../errors.ts'
import { decide, isDenied } from '../policy/decide.ts'
import { compose } from '../proxy/compose.ts'
import { methodOverride } from '../proxy/headers.ts'
import { resolveTarget } from '../proxy/target.ts'
import { type AllowedRequest, type Grant, type Operation, type Scope, scopes } from '../words.ts'
import type { Provider } from './provider.ts'

/** `cases.yaml`: what an agent sends, and what becomes of it. Tests and documentation in one. */

const caseFile = z
  .strictObject({
    name: z.string().min(1).describe('A sentence that says what holds.'),
    as: z.enum(scopes).default('read').describe("The operation token's scope level."),
    actions: z.array(z.string()).optional().describe('Rule ids the token is narrowed to.'),
    grant: z
      .strictObject({
        scope: z.enum(scopes).default('all'),
        only: z.array(z.string()).optional(),
        except: z.array(z.string()).default([]),
        constraints: z.record(z.string(), z.string()).default({}),
      })
      .prefault({}),
    call: z
      .string()
      .regex(/^[^ ]+ .*$/)
      .describe('Method and target behind `/p/<provider>`, as in `POST /measure`.'),
    headers: z.record(z.string(), z.string()).default({}),
    form: z.string().optional().describe('A body with the form content type.'),
    json: z.string().optional().describe('A body with the JSON content type.'),
    body: z.string().optional().describe('A body whose content type is in `headers`, if at all.'),
    body_hex: z.string().optional().describe('The same, for what is no UTF-8.'),
    allow: z.string().optional().describe('The rule that allows it; `none` where none names it.'),
    sends: z.string().optional().describe('Method, path and query as sent.'),
    sends_body: z.string().optional().describe('The body as sent.'),
    deny: z.enum(Object.keys(errors) as [ErrorCode, ...ErrorCode[]]).optional(),
    needs: z.enum(scopes).optional().describe('The `required_scope` of the denial.'),
  })
  .refine((each) => (each.allow === undefined) !== (each.deny === undefined), {
    error: 'either allow or deny',
  })

export const casesFile = z.strictObject({
  clock: z.iso.datetime().describe('The moment at which all of these calls are made.'),
  cases: z.array(caseFile).min(1),
})

export type Case = z.output<typeof caseFile>
export type CaseResult = { readonly name: string; readonly ok: boolean; readonly detail: string }

/** Takes one case down the straight path: resolve, compose, decide. */
export function runCase(each: Case, provider: Provider, nowMs: number): CaseResult {
  const outcome = outcomeOf(each, provider, nowMs)
  const expected = each.deny === undefined ? describeAllowed(each) : describeDenied(each)
  const actual = isRefusal(outcome) ? describeRefusal(outcome, each) : describeSent(outcome, each)
  const detail = actual === expected ? actual : `expected ${expected}\nbut got  ${actual}`
  return { name: each.name, ok: actual === expected, detail }
}

function outcomeOf(each: Case, provider: Provider, nowMs: number): AllowedRequest | Refusal {
  const space = each.call.indexOf(' ')
  const [method, url] = [each.call.slice(0, space), each.call.slice(space + 1)]
  const target = resolveTarget({ method, url }, provider)
  if (isRefusal(target)) return target
  const rawHeaders = rawHeadersOf(each)
  const override = methodOverride(rawHeaders)
  if (override) return override
  const composed = compose(target, { rawHeaders, body: bodyOf(each), nowMs }, provider)
  if (isRefusal(composed)) return composed
  const context = { operation: operationOf(each, provider), grant: grantOf(each, provider) }
  const decided = decide(composed, { ...context, provider })
  return isDenied(decided) ? decided.refusal : decided
}

const contentTypes = { form: 'application/x-www-form-urlencoded', json: 'application/json' }

function rawHeadersOf({ headers, form, json }: Case): string[] {
  const raw = Object.entries(headers).flat()
  if (form !== undefined) raw.push('Content-Type', contentTypes.form)
  if (json !== undefined) raw.push('Content-Type', contentTypes.json)
  return raw
}

function bodyOf(each: Case) {
  const { form, json, body, body_hex } = each
  const text = form ?? json ?? body
  if (text === undefined && body_hex === undefined) return null
  const raw = rawHeadersOf(each)
  const at = raw.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === 'content-type')
  const bytes = body_hex === undefined ? Buffer.from(text ?? '') : Buffer.from(body_hex, 'hex')
  return { contentType: (at === -1 ? null : raw[at + 1]) ?? null, bytes }
}

const operationOf = (each: Case, provider: Provider): Operation => ({
  ...{ agentId: 'agt_case', serviceTokenId: 'st_case', provider: provider.name },
  ...{ connectionId: 'con_case', generation: 1, scope: each.as, intent: 'run the cases' },
  ...{ actions: each.actions ?? null, jti: 'case', expiresAt: 0 },
})

const grantOf = ({ grant }: Case, provider: Provider): Grant => ({
  ...{ id: 'gra_case', agentId: 'agt_case', provider: provider.name, scope: grant.scope },
  ...{ connectionId: 'con_case', owner: null, only: grant.only ?? null, except: grant.except },
  constraints: grant.constraints,
})

const describeAllowed = ({ allow, sends, sends_body }: Case): string =>
  `allow ${allow}${sends === undefined ? '' : `, ${sends}`}${withBody(sends_body)}`

const withBody = (body: string | undefined): string => (body === undefined ? '' : `, ${body}`)

function describeSent({ composed, decision }: AllowedRequest, each: Case): string {
  const query = composed.query === null ? '' : `?${composed.query}`
  return describeAllowed({
    ...each,
    allow: decision.rule ?? 'none',
    sends: each.sends && `${composed.method} ${composed.path}${query}`,
    sends_body: each.sends_body && Buffer.from(composed.body ?? []).toString(),
  })
}

const describeDenied = ({ deny, needs }: Case): string => denial(deny ?? '', needs)

const describeRefusal = ({ code, members }: Refusal, each: Case): string =>
  denial(code, each.needs && (members.required_scope as Scope | undefined))

const denial = (code: string, needs: string | undefined): string =>
  `deny ${code}${needs === undefined ? '' : `, needs ${needs}`}`

import type { DefaultGroup, DefaultValue, Endpoint } from '../catalog/endpoint.ts'
import type { Encoding, Provider } from '../catalog/provider.ts'
import { isRefusal, Malfunction, type Refusal, refuse } from '../errors.ts'
import type { ComposedRequest, Target } from '../words.ts'
import { type Parameter, writeForm } from './form.ts'
import { requestHeaders } from './headers.ts'
import { type AgentBody, readParameters, refuseQueryNames, type Sent } from './parameters.ts'

export type { AgentBody }

export type AgentRequest = {
  readonly rawHeaders: readonly string[]
  /** Null when there is none; it may stream where nothing reads it (`encoding: none`). */
  readonly body: AgentBody | 'streamed' | null
  readonly nowMs: number
}

type Composer = (
  target: Target,
  agent: AgentRequest,
  provider: Provider,
) => ComposedRequest | Refusal

/** The closed table: how a provider wants its requests. */
const composers: { readonly [encoding in Encoding]: Composer } = { form: composeForm, none: pass }

/**
 * Composes the outbound request as it will be sent, less the credential. From here on only this
 * counts: policy judges it, the record names it, and it is sent byte for byte (P6).
 */
export const compose: Composer = (target, agent, provider) =>
  composers[provider.encoding](target, agent, provider)

/**
 * Query and body become one form, always sent as POST: the action first, then what the agent sent
 * (query, then body), then the defaults in the order of the provider file.
 */
function composeForm(
  target: Target,
  agent: AgentRequest,
  provider: Provider,
): ComposedRequest | Refusal {
  const { body } = agent
  if (body === 'streamed') throw new Malfunction('internal_error', 'a form is read whole')
  const ambiguity = body?.bytes.length ? refuseDisguise(agent.rawHeaders) : null
  if (ambiguity) return ambiguity
  const sent = readParameters(target.query, body, provider)
  if (isRefusal(sent)) return sent
  const endpoint = provider.endpointsByPath.match(target.path)?.value ?? null
  const action = chooseAction(sent, endpoint, provider)
  if (isRefusal(action)) return action
  const groups = endpoint?.defaults.get(action ?? '') ?? []
  const parameters = [
    ...(action === null ? [] : [[provider.parameters.action ?? '', action] as const]),
    ...[...sent.values()].filter(([name]) => name !== provider.parameters.action),
    ...groups.flatMap((group) => defaultsOf(group, sent, agent.nowMs)),
  ]
  return {
    ...place(target, endpoint, provider),
    method: 'POST',
    query: null,
    headers: [...requestHeaders(agent.rawHeaders, provider), formType],
    body: Buffer.from(writeForm(parameters)),
    action,
  }
}

const formType = ['content-type', 'application/x-www-form-urlencoded'] as const

/** Query and body as they came. */
function pass(target: Target, agent: AgentRequest, provider: Provider): ComposedRequest | Refusal {
  const refusal = target.query === null ? null : refuseQueryNames(target.query, provider)
  if (refusal) return refusal
  const endpoint = provider.endpointsByPath.match(target.path)?.value ?? null
  return {
    ...place(target, endpoint, provider),
    method: target.method,
    query: target.query,
    headers: requestHeaders(agent.rawHeaders, provider),
    body: agent.body === 'streamed' ? 'streamed' : (agent.body?.bytes ?? null),
    action: null,
  }
}

const place = (target: Target, endpoint: Endpoint | null, provider: Provider) => ({
  provider: provider.name,
  agentMethod: target.method,
  origin: endpoint?.origin ?? provider.origin,
  path: endpoint?.upstream ?? target.path,
})

/** The bytes must be what their headers say, and the headers must say it once. */
function refuseDisguise(rawHeaders: readonly string[]): Refusal | null {
  let types = 0
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase()
    if (name === 'content-type' && ++types > 1) {
      return refuse('bad_body', 'The body has two Content-Type headers. Send one.')
    }
    if (name === 'content-encoding' && rawHeaders[i + 1]?.toLowerCase() !== 'identity') {
      return refuse('bad_body', 'The body is compressed, and it must be judged. Send it as it is.')
    }
  }
  return null
}

/** The agent's action, else the endpoint's default; null where there is neither. */
function chooseAction(
  sent: Sent,
  endpoint: Endpoint | null,
  provider: Provider,
): string | null | Refusal {
  const name = provider.parameters.action
  if (name === null) return null
  const parameter = sent.get(name.toLowerCase())
  if (!parameter) return endpoint?.defaultAction ?? null
  if (parameter[0] !== name) return refuse('bad_body', `${parameter[0]} is spelled ${name}.`)
  if (parameter[1] !== '') return parameter[1]
  return refuse('bad_body', `${name} is empty. Name one, or leave it out for the default.`)
}

const defaultsOf = ({ members, set }: DefaultGroup, sent: Sent, nowMs: number): Parameter[] =>
  members.some((name) => sent.has(name))
    ? []
    : set.map(([name, value]) => [name, valueAt(nowMs, value)])

const dayMs = 86_400_000

function valueAt(nowMs: number, value: DefaultValue): string {
  if (typeof value === 'string') return value
  const atMs = nowMs - value.days_ago * dayMs
  if (value.format === 'epoch') return String(Math.floor(atMs / 1000))
  return new Date(atMs).toISOString().slice(0, 10)
}

import type { Store } from '../store/store.ts'
import type { AllowedRequest, AuditedRequest, Operation, Transport } from '../words.ts'

/** What every record of a call says, whatever became of it. Fields not known yet are null. */
export type CallFacts = {
  readonly requestId: string
  readonly attemptNo: number
  readonly operation: Operation
  readonly agentName: string | null
  readonly connectionLabel: string | null
  readonly owner: string | null
  readonly agentMethod: string
  /** As it came, query and all. */
  readonly agentPath: string
  readonly catalogDigest: string
  readonly sandbox: boolean
  readonly transport: Transport
  /** Of the composed request; null when it was refused before it was composed. */
  readonly method: string | null
  readonly target: string | null
  readonly action: string | null
  /** SHA-256, base64url, of the composed body when it was held whole. */
  readonly requestDigest: string | null
}

/** How a sent attempt ended (CONTRACT.md, "Audit"). */
export type Outcome = {
  readonly status: number | null
  readonly providerStatus: number | null
  readonly bytesIn: number
  readonly bytesOut: number
  /** SHA-256, base64url, of a body that was streamed; null otherwise, and when it broke off. */
  readonly requestDigest: string | null
  readonly durationMs: number
  readonly error: string | null
}

export type Appended = {
  readonly audited: AuditedRequest
  /** The attempt's own number in this boot: its outcome names it. */
  readonly number: number
}

/**
 * Makes the attempt durable and is the only maker of an AuditedRequest (P1). Returns `stale` and
 * has written nothing when a revocation or narrowing has come since `policyEpoch` (P8). Throws
 * Malfunction `audit_unavailable` when the log can't be written (P3).
 */
export async function append(
  store: Store,
  allowed: AllowedRequest,
  attempt: { readonly facts: CallFacts; readonly policyEpoch: number },
): Promise<Appended | 'stale'> {
  const { facts, policyEpoch } = attempt
  const { rule } = allowed.decision
  const record = store.draft({
    ...callFields(facts),
    ...{ rule, decision: 'allow', reason: null, policy_epoch: policyEpoch },
  })
  const written = await store.write({ records: [record], ifPolicyEpoch: policyEpoch })
  if (written.kind !== 'done') return 'stale'
  const { composed } = allowed
  const { requestId, attemptNo } = facts
  return {
    audited: { composed, requestId, attemptNo } as AuditedRequest,
    number: written.numbers[0] ?? 0,
  }
}

/** One final record for a call that is refused before anything is sent. */
export async function appendDenial(store: Store, facts: CallFacts, denial: Denied): Promise<void> {
  await store.write({ records: [store.draft(denialFields(store, facts, denial))] })
}

export type Denied = {
  /** The error code that is answered, and its HTTP status. */
  readonly code: string
  readonly status: number
  readonly rule: string | null
}

export const denialFields = (store: Store, facts: CallFacts, { code, status, rule }: Denied) => ({
  ...callFields(facts),
  ...{ rule, decision: 'deny', reason: code, status, policy_epoch: store.policyEpoch() },
})

/**
 * Durable before the end of the answer reaches the agent (P2). Throws Malfunction
 * `audit_unavailable` when it can't be written: then the answer is cut, and an outcome that says
 * so follows as soon as the log can be written again.
 */
export async function appendOutcome(
  store: Store,
  { audited, number }: Appended,
  outcome: Outcome,
): Promise<void> {
  const draft = (error: string | null) =>
    store.draft({
      kind: 'outcome',
      request_id: audited.requestId,
      attempt_no: audited.attemptNo,
      status: outcome.status,
      provider_status: outcome.providerStatus,
      bytes_in: outcome.bytesIn,
      bytes_out: outcome.bytesOut,
      request_digest: outcome.requestDigest,
      duration_ms: Math.round(outcome.durationMs),
      error,
      closes: number,
    })
  try {
    await store.write({ records: [draft(outcome.error)] })
  } catch (error) {
    store.owe(draft(outcome.error ?? 'cut'))
    throw error
  }
}

/** One literal: made for every call, and each spread would be a loop over its members. */
const callFields = (facts: CallFacts) => ({
  kind: 'attempt',
  request_id: facts.requestId,
  attempt_no: facts.attemptNo,
  agent: facts.operation.agentId,
  service_token: facts.operation.serviceTokenId,
  provider: facts.operation.provider,
  connection: facts.operation.connectionId,
  scope: facts.operation.scope,
  jti: facts.operation.jti,
  method: facts.method ?? facts.agentMethod,
  agent_method: facts.agentMethod,
  action: facts.action,
  catalog_digest: facts.catalogDigest,
  sandbox: facts.sandbox,
  transport: facts.transport,
  intent: facts.operation.intent,
  target: facts.target,
  agent_path: facts.agentPath,
  request_digest: facts.requestDigest,
  agent_name: facts.agentName,
  connection_label: facts.connectionLabel,
  owner: facts.owner,
})

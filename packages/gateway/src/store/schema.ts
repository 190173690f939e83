/**
 * The one schema, on SQLite and PostgreSQL alike. Times are milliseconds since the Unix epoch,
 * JSON and sealed values are text, flags are 0 or 1: what both databases hold in the same way.
 */
import type { Scope } from '../words.ts'

type Tenant = { workspace_id: string }

export type AgentRow = Tenant & {
  id: string
  name: string
  status: 'active' | 'revoked'
  created_at: number
  revoked_at: number | null
  /** How far each sign of life carries; null for an agent that is there for good. */
  lease_seconds: number | null
  /** Revoked when this is past; null for an agent that is there for good. */
  lives_until: number | null
}

export type ServiceTokenRow = Tenant & {
  id: string
  agent_id: string
  /** Hex SHA-256 of the whole token: 256 bits of randomness need no slow hash. */
  hash: string
  created_at: number
  /** A rotated token's grace period ends here too. */
  expires_at: number | null
  revoked_at: number | null
}

export type GrantRow = Tenant & {
  id: string
  agent_id: string
  provider: string
  scope: Scope
  connection_id: string | null
  owner: string | null
  /** JSON arrays of rule ids, and a JSON object of constraints. */
  only_rules: string | null
  except_rules: string
  constraints: string
  created_at: number
}

export type OperationTokenRow = Tenant & {
  jti: string
  agent_id: string
  service_token_id: string
  expires_at: number
  revoked_at: number | null
}

export type SigningKeyRow = Tenant & {
  id: string
  purpose: 'operation_token' | 'checkpoint'
  /** JWK as JSON. */
  public_key: string
  sealed_private_key: string
  created_at: number
  retired_at: number | null
}

export type RootKeyRow = Tenant & {
  id: string
  /** A known value, sealed: opening it proves that the key at hand is the right one. */
  sealed_check: string
  created_at: number
}

export type ApplicationRow = Tenant & {
  id: string
  provider: string
  client_id: string
  sealed_secret: string
  redirect_uri: string
  /** Made under OKORO_SANDBOX: never used with the real host, nor the other way round. */
  sandbox: number
  created_at: number
  /** The operator's own limit; both null for the provider file's, both 0 for none. */
  limit_requests: number | null
  limit_seconds: number | null
}

/**
 * The calls that an application may make, or a connection that has no application: `id` is the
 * id of either. Times are the database's own.
 */
export type CallBudgetRow = Tenant & {
  id: string
  /** Bumped with everything that is taken: whoever takes compares and swaps on it. */
  version: number
  /** The provider has said: too many calls. 0 when it never did. */
  paused_until: number
}

/** Units that one node took for one agent, ahead of the calls that use them up. */
export type CallChunkRow = Tenant & {
  budget_id: string
  id: string
  agent_id: string
  /** 0 for the claim of an agent that has to wait. */
  units: number
  usable_until: number
}

export type ConnectionStatus = 'connected' | 'needs_reconnect' | 'removed'

export type ConnectionRow = Tenant & {
  id: string
  provider: string
  application_id: string | null
  /** Unique per provider among those not removed. */
  label: string
  owner: string | null
  status: ConnectionStatus
  /** Why it is not `connected`. */
  reason: string | null
  /** Bumped when another account is connected over this one. */
  generation: number
  /** The provider's own id of the account. */
  account: string | null
  /** What people know it by, where the provider says so. */
  account_name: string | null
  /** Space-separated, as the provider answered. */
  granted_scopes: string
  sealed_credential: string | null
  /** Bumped with every write of the credential: refreshes compare and swap on it. */
  version: number
  expires_at: number | null
  sandbox: number
  created_at: number
  updated_at: number
}

export type ConnectFlowRow = Tenant & {
  id: string
  provider: string
  application_id: string
  /** The connection that is made anew; null for a new one. */
  connection_id: string | null
  label: string
  owner: string | null
  redirect_uri: string
  /** Hex SHA-256 of the link's, the admin session's, the cookie's and the state's secret. */
  link_hash: string
  session_hash: string
  cookie_hash: string | null
  state_hash: string | null
  sealed_verifier: string | null
  created_at: number
  expires_at: number
  used_at: number | null
}

export type PolicyRow = Tenant & { epoch: number }

/** One run of one node: its records are numbered from 0. */
export type BootRow = Tenant & {
  node: string
  boot: string
  started_at: number
  /** Every attempt numbered below this has its outcome, but those of `open_attempts`. */
  settled: number
  /** JSON list of the numbers of attempts that were open when `settled` was written. */
  open_attempts: string
  /** Its last sign of life: on PostgreSQL the sequencer closes boots that fell silent. */
  seen_at: number
  /** From here on the database takes no write of this boot any more. */
  closed_at: number | null
  /** Closed, its records have their places and its attempts their outcomes. */
  done_at: number | null
}

/** Never updated; deleted by retention alone. */
export type RecordRow = Tenant & {
  node: string
  boot: string
  n: number
  kind: string
  time: number
  request_id: string | null
  attempt_no: number | null
  agent: string | null
  /** 1 for an attempt that an outcome will close. */
  opens: number
  /** For an outcome: the `n` of its attempt, in the same boot. */
  closes: number | null
  leaf_hash: string
  /** The canonical JSON that was hashed. */
  body: string
}

/** Values and salts of a record's private fields: `{field: {value, salt}}`, null when erased. */
export type DisclosureRow = Tenant & { node: string; boot: string; n: number; fields: string }

export type SequenceRow = Tenant & {
  epoch: number
  seq: number
  node: string
  boot: string
  n: number
  leaf_hash: string
}

export type LeaseRow = Tenant & {
  name: string
  holder: string
  /** Grows with every change of holder: a late holder's writes are refused by it. */
  fence: number
  expires_at: number
}

export type Schema = {
  agent: AgentRow
  service_token: ServiceTokenRow
  grant: GrantRow
  operation_token: OperationTokenRow
  signing_key: SigningKeyRow
  root_key: RootKeyRow
  application: ApplicationRow
  call_budget: CallBudgetRow
  call_chunk: CallChunkRow
  connection: ConnectionRow
  connect_flow: ConnectFlowRow
  policy: PolicyRow
  boot: BootRow
  record: RecordRow
  disclosure: DisclosureRow
  sequence: SequenceRow
  lease: LeaseRow
}

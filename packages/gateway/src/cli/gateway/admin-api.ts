/** What `/api/v1` answers, as far as this CLI reads it. Unknown members pass through `--json`. */

export type Page<T> = { readonly items: readonly T[]; readonly next_cursor: string | null }

export type Grant = {
  readonly id: string
  readonly provider: string
  readonly scope: string
  readonly connection: string | null
  readonly connection_id: string | null
  readonly owner: string | null
  readonly only: readonly string[] | null
  readonly except: readonly string[]
  readonly constraints: Readonly<Record<string, string>>
}

export type ServiceToken = {
  readonly id: string
  readonly status: string
  readonly created_at: string
  readonly expires_at: string | null
}

export type Agent = {
  readonly id: string
  readonly name: string
  readonly status: string
  readonly created_at: string
  readonly revoked_at: string | null
  readonly lease_seconds: number | null
  readonly lives_until: string | null
  readonly grants: readonly Grant[]
  readonly service_tokens: readonly ServiceToken[]
}

export type NewAgent = Agent & { readonly service_token: string }

export type Rotated = {
  readonly agent: string
  readonly service_token: string
  readonly expires_at: string | null
  readonly old_expire_at: string
}

export type Application = {
  readonly id: string
  readonly provider: string
  readonly client_id: string
  readonly redirect_uri: string
  readonly sandbox: boolean
  readonly created_at: string
  /** Calls that it may make, over all its connections; null for as many as they like. */
  readonly limit: { readonly requests: number; readonly seconds: number } | null
  readonly limit_is_default: boolean
  readonly restriction: string | null
}

export type Connection = {
  readonly id: string
  readonly provider: string
  readonly label: string
  readonly owner: string | null
  readonly status: string
  readonly reason: string | null
  readonly sandbox: boolean
  readonly account: string | null
  readonly account_name: string | null
  readonly granted_scopes: readonly string[]
  readonly expires_at: string | null
  readonly created_at: string
  readonly updated_at: string
}

export type Flow = {
  readonly id: string
  readonly link: string
  readonly session: string
  readonly expires_at: string
}

export type FlowState = {
  readonly status: 'begun' | 'opened' | 'finishing' | 'connected' | 'failed' | 'expired'
  readonly connection_id: string | null
}

export type Rule = {
  readonly id: string
  readonly level: string
  readonly summary: string
  readonly path: string
  readonly action: string | null
}

export type ProviderSummary = {
  readonly name: string
  readonly title: string
  readonly summary: string
  readonly docs: string
  readonly sandbox: string | null
  readonly rule_count: number
}

export type Provider = ProviderSummary & {
  readonly checked: string
  readonly auth: {
    readonly scheme: string
    /** What is pasted, and where it is made; null where people consent on a page instead. */
    readonly credential: string | null
    readonly page: string | null
  }
  /** This and the next two are null where nobody is sent to a consent page. */
  readonly redirect_uri: string | null
  readonly restriction: string | null
  readonly code_lifetime_seconds: number | null
  readonly unknown_paths: string
  readonly closed: readonly string[]
  readonly rules: readonly Rule[]
}

export type Status = {
  readonly version: string
  readonly node: string
  readonly database: string
  /** Settings of the database server that put the log at risk. */
  readonly database_doubts: readonly {
    readonly setting: string
    readonly value: string
    readonly state: 'fail' | 'warn'
    readonly message: string
  }[]
  readonly public_url: string
  readonly policy_epoch: number
  readonly root_key: string
  readonly sandboxes: Readonly<Record<string, string>>
}

export type Keys = {
  readonly root_key: { readonly id: string; readonly created_at: string }
  readonly signing_keys: readonly {
    readonly id: string
    readonly purpose: string
    readonly status: string
  }[]
}

export type AuditRecord = {
  readonly epoch: number
  readonly seq: number
  readonly time: string
  readonly kind: string
  readonly disclosed: Readonly<Record<string, { readonly value: string } | null>>
  readonly [field: string]: unknown
}

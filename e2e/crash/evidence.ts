/** What three independent witnesses say of the same calls. */
export type Evidence = {
  /** The export, in its order. */
  readonly records: readonly RecordLine[]
  /** The provider's own log. */
  readonly received: readonly Received[]
  /** What agents read to the last byte; answers that broke off are not here. */
  readonly answers: readonly Answer[]
  readonly issued: readonly Issued[]
}

export type Json = string | number | boolean | null | readonly Json[] | JsonObject
export type JsonObject = { readonly [key: string]: Json }

/** One line of the export. */
export type RecordLine = JsonObject & {
  readonly epoch: number
  readonly seq: number
  readonly leaf_hash: string
  readonly node: string
  readonly boot: string
  readonly n: number
  readonly kind: string
  readonly disclosed: { readonly [field: string]: { value: string; salt: string } | null }
}

/** A call as it reached the provider. */
export type Received = {
  readonly n: number
  readonly method: string
  readonly target: string
  /** SHA-256 of its body, base64url. */
  readonly digest: string
  /** The parameter that makes every call one of its kind. */
  readonly marker: string
}

export type Answer = {
  readonly requestId: string
  readonly marker: string
  readonly status: number
  /** In the body of the provider's answer. */
  readonly providerStatus: number | null
  /** Bytes of the body. */
  readonly bytes: number
  /** `okoro-error`: set when the answer is the gateway's own. */
  readonly code: string | null
}

export type Issued = { readonly jti: string }

export const textOf = (record: RecordLine, field: string): string => String(record[field] ?? '')

/** The value behind a commitment; null when there is none. */
export const disclosedOf = ({ disclosed }: RecordLine, field: string): string | null =>
  disclosed[field]?.value ?? null

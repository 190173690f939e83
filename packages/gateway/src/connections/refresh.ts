import { setTimeout as pass } from 'node:timers/promises'
import { isRefusal, type Refusal, refuse } from '../errors.ts'
import { changeConnection, findConnection } from '../store/connection.ts'
import { type Lease, releaseLease, takeLease } from '../store/lease.ts'
import type { ConnectionRow } from '../store/schema.ts'
import { openApplication } from './applications.ts'
import { connectionRecord, type Usable, usable } from './connection.ts'
import type { ConnectionsContext } from './context.ts'
import { expiryOf, type KeptCredential, openCredential, sealCredential } from './credential.ts'
import type { TokenFailure } from './dialect.ts'
import { providerDeadlineMs } from './egress.ts'
import { refreshTokens, type Tokens } from './oauth2.ts'

/** Milliseconds: providers answer the same refresh twice within ten seconds with an error. */
const shortestPauseMs = 10_000
const longestPauseMs = 300_000

/** A request to the provider is given up long before its holder's term ends (P4). */
const leaseMs = 3 * providerDeadlineMs
/** Whoever waits for another node outlasts the term of one that died. */
const longestWaitMs = leaseMs + 5_000
const lookEveryMs = 100
/** Milliseconds until tokens that could not be written are tried again. */
const unwrittenPauseMs = 500

/** A connection whose credential is durable, and that credential. */
export type Fresh = {
  readonly kind: 'fresh'
  readonly row: ConnectionRow
  readonly kept: KeptCredential
}

export type Refresher = {
  /**
   * A credential newer than `usedVersion`: what another node wrote, or the answer of a refresh.
   * One refresh of a connection at a time over all nodes, under a lease; whoever asks meanwhile
   * gets its result, and nobody who hangs up ends it. New tokens are durable before anyone sees
   * them (P4, P5). Refuses while the provider fails (with `Retry-After`) and when a new consent is
   * needed. Throws Malfunction when nothing can be written; tokens that were obtained by then are
   * kept here, and written as soon as they can be.
   */
  refresh(connectionId: string, usedVersion: number): Promise<Fresh | Refusal>
  /** Whether a refresh failed so recently that it is not tried again yet. */
  isPaused(connectionId: string): boolean
  /** Resolves once no refresh is under way in this process. */
  settle(): Promise<void>
}

type Obtained = { readonly version: number; readonly tokens: Tokens; readonly obtainedAt: number }
type Pause = { readonly untilMs: number; readonly lengthMs: number; readonly failure: TokenFailure }

/** What one process remembers of its refreshes. */
type Memory = {
  readonly flights: Map<string, Promise<Fresh | Refusal>>
  readonly pauses: Map<string, Pause>
  /** Tokens that could not be written: the provider may have ended the ones before them. */
  readonly unwritten: Map<string, Obtained>
}

export function createRefresher(context: ConnectionsContext): Refresher {
  const memory: Memory = { flights: new Map(), pauses: new Map(), unwritten: new Map() }
  const start = (wanted: Wanted): Promise<Fresh | Refusal> => {
    const flight = memory.flights.get(wanted.id)
    if (flight) return flight
    const started = refresh(context, memory, wanted).finally(() => memory.flights.delete(wanted.id))
    memory.flights.set(wanted.id, started)
    started.catch(() => memory.unwritten.has(wanted.id) && startLater(wanted))
    return started
  }
  const startLater = (wanted: Wanted) =>
    setTimeout(() => start(wanted).catch(() => {}), unwrittenPauseMs).unref()
  return {
    refresh: (id, usedVersion) => start({ id, usedVersion }),
    isPaused: (id) => (memory.pauses.get(id)?.untilMs ?? 0) > context.clock(),
    settle: async () => void (await Promise.allSettled(memory.flights.values())),
  }
}

type Wanted = { readonly id: string; readonly usedVersion: number }

/** Waits for its turn, or for what another node makes of its own. */
async function refresh(
  context: ConnectionsContext,
  memory: Memory,
  wanted: Wanted,
): Promise<Fresh | Refusal> {
  for (const end = performance.now() + longestWaitMs; performance.now() < end; ) {
    const needed = await findNeeded(context, memory, wanted)
    if (!('provider' in needed)) return needed
    const lease = await takeLease(context.store, { name: `refresh:${wanted.id}`, ttlMs: leaseMs })
    if (lease) return await refreshAlone(context, memory, { ...wanted, lease })
    await pass(lookEveryMs)
  }
  return refuse(
    'upstream_timeout',
    'Another node of this gateway is renewing the credential and has not finished.',
    { connection_id: wanted.id },
    1,
  )
}

async function refreshAlone(
  context: ConnectionsContext,
  memory: Memory,
  { lease, ...wanted }: Wanted & { readonly lease: Lease },
): Promise<Fresh | Refusal> {
  try {
    // Another node may have been here between the look and the lease.
    const needed = await findNeeded(context, memory, wanted)
    if (!('provider' in needed)) return needed
    const refreshing = { ...needed, kept: await openCredential(context.vault, needed.row) }
    const answer = await ask(context, refreshing)
    if ('tokens' in answer) return await keep(context, memory, { ...refreshing, ...answer })
    if (answer.kind === 'dead') return await bury(context, needed, answer)
    return await postpone(context, memory, { row: needed.row, failure: answer })
  } finally {
    // Else it runs out by itself.
    await releaseLease(context.store, lease).catch(() => {})
  }
}

/** What is to be refreshed, or the answer that needs no refresh. */
async function findNeeded(
  context: ConnectionsContext,
  memory: Memory,
  { id, usedVersion }: Wanted,
): Promise<Usable | Fresh | Refusal> {
  const found = await findUsable(context, id)
  if (isRefusal(found)) return found
  const { row } = found
  if (row.version > usedVersion) return await open(context, row)
  const obtained = unwrittenOf(memory, row)
  if (obtained) {
    const kept = await openCredential(context.vault, row)
    return await keep(context, memory, { ...found, kept, ...obtained })
  }
  const pause = memory.pauses.get(id)
  return pause && pause.untilMs > context.clock() ? paused(context, pause, row) : found
}

type Refreshing = Usable & { readonly kept: KeptCredential }

const findUsable = async (
  { store, catalog }: ConnectionsContext,
  id: string,
): Promise<Usable | Refusal> => usable(await findConnection(store.db, id), catalog.providers)

/** What was obtained for this version but not written; for another one it is of no use. */
function unwrittenOf({ unwritten }: Memory, { id, version }: ConnectionRow): Obtained | null {
  const obtained = unwritten.get(id)
  if (obtained?.version === version) return obtained
  unwritten.delete(id)
  return null
}

async function ask(
  context: ConnectionsContext,
  { row, provider, kept }: Refreshing,
): Promise<Obtained | TokenFailure> {
  const application =
    row.application_id === null ? null : await openApplication(context, row.application_id)
  if (!application) return hopeless('The application of this connection is gone.')
  if (kept.refreshToken === null) return hopeless(`${provider.title} gave no refresh token.`)
  const { auth } = provider
  if (auth.scheme !== 'oauth2') return hopeless(`${provider.title} renews no credentials.`)
  const { origin } = new URL(auth.token.url)
  if (!kept.credential.reveal().hosts.includes(origin)) return misdirected(origin)
  const { row: client, clientSecret } = application
  const caller = { auth, clientId: client.client_id, clientSecret }
  const answer = await refreshTokens({ ...caller, fetch: context.fetch }, kept.refreshToken)
  if (answer.kind !== 'tokens') return answer
  return { version: row.version, tokens: answer, obtainedAt: context.clock() }
}

const hopeless = (text: string): TokenFailure => ({
  ...{ kind: 'dead', code: 'upstream_invalid', hasAnswered: false, text, retryAfterSeconds: null },
})

/** A catalogue that moved the token endpoint does not move credentials with it (P7). */
const misdirected = (origin: string): TokenFailure => ({
  ...{ kind: 'refused', code: 'upstream_invalid', hasAnswered: false, retryAfterSeconds: null },
  text: `The token endpoint is at ${origin} now, where this credential may not be sent.`,
})

async function keep(
  context: ConnectionsContext,
  memory: Memory,
  { row, kept, tokens, obtainedAt, version }: Refreshing & Obtained,
): Promise<Fresh | Refusal> {
  const { store, vault, clock } = context
  // Until it is written it is here: the old refresh token may already be of no use.
  memory.unwritten.set(row.id, { tokens, obtainedAt, version })
  const sealed_credential = await sealCredential(vault, row.id, {
    ...{ hosts: kept.credential.reveal().hosts, tokens, obtainedAt },
    oldRefreshToken: kept.refreshToken,
  })
  const change = {
    ...{ sealed_credential, expires_at: expiryOf(tokens, obtainedAt), updated_at: clock() },
    ...{ granted_scopes: tokens.scopes ?? row.granted_scopes, reason: null },
  }
  const result = await store.write({
    statements: [changeConnection(store.db, row, change)],
    records: [store.draft({ kind: 'credential.refreshed', ...connectionRecord(row) })],
  })
  memory.unwritten.delete(row.id)
  memory.pauses.delete(row.id)
  if (result.kind !== 'done') return await yieldToOther(context, row)
  return await open(context, { ...row, ...change, version: row.version + 1 })
}

/** Someone else wrote meanwhile: theirs is the connection now, and the overlap is on record (P4). */
async function yieldToOther(
  context: ConnectionsContext,
  before: ConnectionRow,
): Promise<Fresh | Refusal> {
  const { store } = context
  const kind = 'credential.refresh_overlapped'
  await store.write({ records: [store.draft({ kind, ...connectionRecord(before) })] })
  return await reopen(context, before.id)
}

async function reopen(context: ConnectionsContext, id: string): Promise<Fresh | Refusal> {
  const found = await findUsable(context, id)
  return isRefusal(found) ? found : await open(context, found.row)
}

/** Only a new consent helps, unless someone else has written a newer credential meanwhile. */
async function bury(
  context: ConnectionsContext,
  { row, provider }: Usable,
  { text }: TokenFailure,
): Promise<Fresh | Refusal> {
  const { store, clock } = context
  const reason = `${provider.title} no longer renews its access (${text})`
  const change = { status: 'needs_reconnect' as const, reason, updated_at: clock() }
  const about = { ...connectionRecord(row), error_text: text }
  // Touches nothing when the version has moved on: then that one is the answer.
  await store.write({
    statements: [changeConnection(store.db, row, change)],
    records: [
      store.draft({ kind: 'credential.refresh_failed', ...about, judged: 'dead' }),
      store.draft({ kind: 'connection.needs_reconnect', ...about }),
    ],
    bumpsPolicy: true,
  })
  return await reopen(context, row.id)
}

type Postponed = { readonly row: ConnectionRow; readonly failure: TokenFailure }

/** The credential stays as it is; each failure in a row doubles the pause. */
async function postpone(
  context: ConnectionsContext,
  memory: Memory,
  { row, failure }: Postponed,
): Promise<Refusal> {
  const { store, clock } = context
  const before = memory.pauses.get(row.id)
  const doubled = before ? Math.min(before.lengthMs * 2, longestPauseMs) : shortestPauseMs
  const lengthMs = Math.max((failure.retryAfterSeconds ?? 0) * 1000, doubled)
  const pause = { untilMs: clock() + lengthMs, lengthMs: doubled, failure }
  memory.pauses.set(row.id, pause)
  const { kind: judged, text } = failure
  const about = { ...connectionRecord(row), judged, error_text: text }
  await store.write({ records: [store.draft({ kind: 'credential.refresh_failed', ...about })] })
  return paused(context, pause, row)
}

function paused({ clock }: ConnectionsContext, pause: Pause, row: ConnectionRow): Refusal {
  const seconds = Math.max(1, Math.ceil((pause.untilMs - clock()) / 1000))
  const { code, kind, text } = pause.failure
  const advice =
    kind === 'refused'
      ? ' It stays so until an operator mends it: client id and secret of the application ' +
        `${row.application_id}, or the connection itself, made anew.`
      : ''
  return refuse(
    code,
    `The credential of connection "${row.label}" could not be renewed (${text}).${advice} ` +
      `It is tried again in ${seconds} s.`,
    { connection_id: row.id },
    seconds,
  )
}

async function open({ vault }: ConnectionsContext, row: ConnectionRow): Promise<Fresh> {
  return { kind: 'fresh', row, kept: await openCredential(vault, row) }
}

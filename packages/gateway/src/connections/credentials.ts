import { isRefusal, type Refusal } from '../errors.ts'
import type { Credential } from '../inject/inject.ts'
import type { Secret } from '../secret.ts'
import { findConnection } from '../store/connection.ts'
import { usable } from './connection.ts'
import type { ConnectionsContext } from './context.ts'
import { openCredential } from './credential.ts'
import { createProber } from './doubt.ts'
import { createRefresher, type Fresh, type Refresher } from './refresh.ts'

/** From this part of its life on, a credential is renewed in the background. */
const earlyPart = 0.8
/** Milliseconds before its end: from here on a call waits for the new one. */
const marginMs = 60_000

/** An opened credential; `version` tells `renew` which one the provider called expired. */
export type Taken = {
  readonly credential: Secret<Credential>
  readonly version: number
  /** Whether `renew` can bring another one. */
  readonly isRenewable: boolean
}

export type Credentials = {
  /**
   * The credential of a connection: opened once, kept in memory, and renewed ahead of its expiry.
   * Reads the database only after a change of policy. Refuses with `needs_reconnect`,
   * `not_connected` or why it could not be renewed; throws Malfunction like the store and vault.
   */
  take(connectionId: string): Promise<Taken | Refusal>
  /** After the provider said expired: renews it unless it has changed since `usedVersion`. */
  renew(connectionId: string, usedVersion: number): Promise<Taken | Refusal>
  /**
   * After the provider refused a credential that cannot be renewed: finds out, in the background,
   * whether it was the credential or the call, and marks the connection when it was the former.
   */
  doubt(connectionId: string, usedVersion: number): void
  /** Tries the credential at the provider, where its file says how; null when nothing is wrong. */
  test(connectionId: string): Promise<Refusal | null>
  forget(connectionId: string): void
  /** Resolves once no refresh is under way: a process that ends before would lose its tokens. */
  settle(): Promise<void>
}

type Entry = Taken & {
  /** What this was read under: a newer epoch means that the connection may have changed. */
  readonly policyEpoch: number
  /** Milliseconds since the Unix epoch; infinite when it does not expire. */
  readonly renewsAt: number
  readonly waitsAt: number
  readonly expiresAt: number
}

export function createCredentials(context: ConnectionsContext): Credentials {
  const rooms: Rooms = { context, cache: new Map(), refresher: createRefresher(context) }
  const prober = createProber(context)
  return {
    take: async (id) => {
      const entry = await current(rooms, id)
      return isRefusal(entry) ? entry : await freshEnough(rooms, id, entry)
    },
    renew: async (id, usedVersion) => {
      const entry = await current(rooms, id)
      if (isRefusal(entry) || entry.version > usedVersion) return entry
      return await renewed(rooms, id, usedVersion)
    },
    doubt: (id, usedVersion) => {
      // Not waited for; what fails here is tried again at the next refusal.
      prober.doubt(id, usedVersion).catch(() => {})
    },
    test: async (id) => {
      const taken = await current(rooms, id)
      return isRefusal(taken) ? taken : await prober.probe(id)
    },
    forget: (id) => rooms.cache.delete(id),
    settle: () => rooms.refresher.settle(),
  }
}

type Rooms = {
  readonly context: ConnectionsContext
  readonly cache: Map<string, Entry>
  readonly refresher: Refresher
}

async function current(rooms: Rooms, id: string): Promise<Entry | Refusal> {
  const { store, vault, catalog } = rooms.context
  const cached = rooms.cache.get(id)
  // Read before the row is: a change in between makes the entry look old, never new.
  const policyEpoch = store.policyEpoch()
  if (cached?.policyEpoch === policyEpoch) return cached
  const found = usable(await findConnection(store.db, id), catalog.providers)
  if (isRefusal(found)) {
    rooms.cache.delete(id)
    return found
  }
  const { row, provider } = found
  const entry =
    cached?.version === row.version
      ? { ...cached, policyEpoch }
      : entryOf(
          { kind: 'fresh', row, kept: await openCredential(vault, row) },
          { policyEpoch, isRenewable: provider.auth.isRenewable },
        )
  rooms.cache.set(id, entry)
  return entry
}

function entryOf(
  { row, kept }: Fresh,
  known: { readonly policyEpoch: number; readonly isRenewable: boolean },
): Entry {
  const expiresAt = row.expires_at ?? Number.POSITIVE_INFINITY
  const renewable = kept.refreshToken !== null && row.expires_at !== null
  return {
    ...{ credential: kept.credential, version: row.version, ...known, expiresAt },
    renewsAt: renewable ? kept.obtainedAt + (expiresAt - kept.obtainedAt) * earlyPart : expiresAt,
    waitsAt: renewable ? expiresAt - marginMs : expiresAt,
  }
}

async function freshEnough(rooms: Rooms, id: string, entry: Entry): Promise<Taken | Refusal> {
  const now = rooms.context.clock()
  if (now < entry.renewsAt) return entry
  if (now < entry.waitsAt) {
    // Not waited for; what fails here is on record, and fails again in front of whoever waits.
    if (!rooms.refresher.isPaused(id)) renewed(rooms, id, entry.version).catch(() => {})
    return entry
  }
  const fresh = await renewed(rooms, id, entry.version)
  const isFinal = isRefusal(fresh) && fresh.retryAfterSeconds === null
  return isRefusal(fresh) && !isFinal && now < entry.expiresAt ? entry : fresh
}

async function renewed(rooms: Rooms, id: string, usedVersion: number): Promise<Taken | Refusal> {
  const policyEpoch = rooms.context.store.policyEpoch()
  const fresh = await rooms.refresher.refresh(id, usedVersion)
  if (isRefusal(fresh)) {
    if (fresh.retryAfterSeconds === null) rooms.cache.delete(id)
    return fresh
  }
  const entry = entryOf(fresh, { policyEpoch, isRenewable: true })
  rooms.cache.set(id, entry)
  return entry
}

import { isRefusal, type Refusal, refuse } from '../errors.ts'
import { changeConnection, findConnection } from '../store/connection.ts'
import { connectionRecord, type Usable, usable } from './connection.ts'
import type { ConnectionsContext } from './context.ts'
import { openCredential } from './credential.ts'
import { type Probed, probeCredential } from './probe.ts'

/** Milliseconds that a probe's answer counts: agents who provoke refusals don't make more of them. */
const quietMs = 60_000

export type Prober = {
  /**
   * Tries the credential of a connection with the call that its provider file names, and marks the
   * connection `needs_reconnect` when that is refused too. One at a time for each connection.
   * Null when it works or the provider file names no such call. Throws Malfunction when nothing
   * can be written.
   */
  probe(connectionId: string): Promise<Refusal | null>
  /** The same, when a call with this version of the credential was refused; not again for a minute. */
  doubt(connectionId: string, usedVersion: number): Promise<void>
}

export function createProber(context: ConnectionsContext): Prober {
  const flights = new Map<string, Promise<Refusal | null>>()
  const quiet = new Map<string, { readonly version: number; readonly untilMs: number }>()
  const probe = (id: string): Promise<Refusal | null> => {
    const flight = flights.get(id)
    if (flight) return flight
    const started = probeConnection(context, id).finally(() => flights.delete(id))
    flights.set(id, started)
    return started
  }
  const isQuiet = (id: string, version: number): boolean => {
    const last = quiet.get(id)
    return last?.version === version && last.untilMs > context.clock()
  }
  return {
    probe,
    doubt: async (id, version) => {
      if (isQuiet(id, version)) return
      quiet.set(id, { version, untilMs: context.clock() + quietMs })
      const row = await findConnection(context.store.db, id)
      if (row?.version === version) await probe(id)
    },
  }
}

async function probeConnection(context: ConnectionsContext, id: string): Promise<Refusal | null> {
  const { store, vault, catalog } = context
  const found = usable(await findConnection(store.db, id), catalog.providers)
  if (isRefusal(found)) return found
  const { row, provider } = found
  const { probe } = provider.auth
  if (probe === null) return null
  const { credential } = await openCredential(vault, row)
  if (!credential.reveal().hosts.includes(new URL(probe.url).origin)) return misdirected(found)
  const probed = await probeCredential(context, { provider, probe }, credential)
  if (probed.kind === 'refused') return await bury(context, found, probed.text)
  await store.write({ records: [store.draft(recordOf(found, probed))] })
  return probed.kind === 'accepted' ? null : untried(found, probed.text)
}

const recordOf = ({ row }: Usable, probed: Probed) => ({
  ...{ kind: 'credential.probed', ...connectionRecord(row), judged: probed.kind },
  error_text: probed.kind === 'accepted' ? null : probed.text,
})

/** Refused where every valid credential is taken: only another one helps. */
async function bury(
  context: ConnectionsContext,
  found: Usable,
  text: string,
): Promise<Refusal | null> {
  const { store, clock, catalog } = context
  const { row, provider } = found
  const reason = `${provider.title} no longer accepts its credential (${text})`
  const change = { status: 'needs_reconnect' as const, reason, updated_at: clock() }
  // Touches nothing when the version has moved on: then that one is the answer.
  await store.write({
    statements: [changeConnection(store.db, row, change)],
    records: [
      store.draft(recordOf(found, { kind: 'refused', text })),
      store.draft({
        ...{ kind: 'connection.needs_reconnect', ...connectionRecord(row), error_text: text },
      }),
    ],
    bumpsPolicy: true,
  })
  const now = usable(await findConnection(store.db, row.id), catalog.providers)
  return isRefusal(now) ? now : null
}

const untried = ({ row, provider }: Usable, text: string): Refusal =>
  refuse(
    'upstream_unreachable',
    `Whether the credential of connection "${row.label}" works could not be learned from ` +
      `${provider.title} (${text}). Nothing was changed; try again in a moment.`,
    { connection_id: row.id },
  )

/** A catalogue that moved the probe does not move credentials with it (P7). */
const misdirected = ({ row, provider }: Usable): Refusal =>
  refuse(
    'needs_reconnect',
    `Connection "${row.label}" of ${provider.title} cannot be tried: the provider file names a ` +
      'host for that where its credential may not be sent. An operator connects it anew.',
    { connection_id: row.id },
  )

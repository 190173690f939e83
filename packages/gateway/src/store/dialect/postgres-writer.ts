import pg from 'pg'
import { workspace } from '../../words.ts'
import { commitGroup, InDoubt, type Numbered, type Numbering } from '../commit.ts'
import type { CommitGroup } from '../writer.ts'
import { type Boot, BootClosed } from './database.ts'
import { createConnection, policyLock } from './postgres-commit.ts'
import { clientConfig, drop, prepareSession } from './postgres-session.ts'

export type PostgresListeners = {
  /** The boot was closed by another node: the process has to start again. */
  readonly onFatal: (error: Error) => void
  /** Records of a group that stands after all, though its callers were told that it failed. */
  readonly onLateStand: (records: readonly Numbered[]) => void
}

/** Milliseconds that the callers of a commit in doubt wait for the server to come back. */
const doubtMs = 3_000
const doubtPauseMs = 100

/**
 * The one writer of a boot: a session of its own, made anew when it is lost. A commit that got no
 * answer is looked up; until that is known nothing else is written.
 */
export function createPostgresWriter(
  { url, boot }: { readonly url: string; readonly boot: Boot },
  { onFatal, onLateStand }: PostgresListeners,
): { readonly commit: CommitGroup; close(): Promise<void> } {
  const numbering: Numbering = { next: 0, open: new Set(), settled: 0 }
  let client: pg.Client | null = null
  let doubt: InDoubt | null = null
  let isClosed = false

  const connect = async (): Promise<pg.Client> => {
    const fresh = new pg.Client(clientConfig(url, `okoro writer ${boot.boot}`))
    fresh.on('error', () => {
      if (client === fresh) client = null
    })
    try {
      await fresh.connect()
      await prepareSession(fresh)
      return fresh
    } catch (error) {
      drop(fresh)
      throw error
    }
  }

  const lose = () => {
    if (client) drop(client)
    client = null
  }

  const session = async (): Promise<pg.Client> => {
    if (isClosed) throw new Error('the database was closed')
    const used = client ?? (await connect())
    client = used
    if (doubt && (await hasStood(used, boot, doubt))) {
      doubt.stand()
      onLateStand(doubt.records)
    }
    doubt = null
    return used
  }

  /** Finds out while the callers wait; later, once they were refused, the next session does. */
  const settle = async (doubted: InDoubt) => {
    for (const end = performance.now() + doubtMs; performance.now() < end; ) {
      let stands: boolean
      try {
        client ??= await connect()
        stands = await hasStood(client, boot, doubted)
      } catch {
        lose()
        await new Promise((resolve) => setTimeout(resolve, doubtPauseMs))
        continue
      }
      if (stands) return doubted.stand()
      throw doubted
    }
    doubt = doubted
    throw doubted
  }

  return {
    commit: async (group) => {
      try {
        return await commitGroup(group, createConnection(await session(), boot), numbering)
      } catch (error) {
        lose()
        if (error instanceof BootClosed) onFatal(error)
        if (error instanceof InDoubt) return await settle(error)
        throw error
      }
    },
    close: async () => {
      isClosed = true
      lose()
    },
  }
}

/**
 * Whether a group became durable. Its old session held the policy lock until its transaction
 * ended: who has the lock alone looks at what is settled.
 */
async function hasStood(client: pg.Client, { node, boot }: Boot, { records }: InDoubt) {
  const [first] = records
  if (!first) return false
  await client.query(`begin; select pg_advisory_xact_lock(${policyLock})`)
  const { rows } = await client.query(
    'select 1 from record where workspace_id = $1 and node = $2 and boot = $3 and n = $4',
    [workspace, node, boot, first.n],
  )
  await client.query('commit')
  return rows.length > 0
}

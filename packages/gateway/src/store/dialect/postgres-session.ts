import type { PostgresPool, PostgresPoolClient } from 'kysely'
import pg from 'pg'
import { unreadable } from './database.ts'

/** int8 as number: no count or time of ours comes near 2^53. */
const types = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    oid === pg.types.builtins.INT8 ? Number : pg.types.getTypeParser(oid, format as 'text'),
}

/**
 * Seconds after which the server gives up a session's work. A node that is stopped in the middle of
 * a transaction holds the policy lock, and with it every revocation, for `idle` at most.
 */
const limits = { statement: 8, lock: 6, idle: 3 }

/** How a session is opened. A server that hangs is given up a little after its own limit. */
export const clientConfig = (url: string, applicationName: string) => ({
  ...{ connectionString: url, types, application_name: applicationName },
  ...{ connectionTimeoutMillis: 5_000, query_timeout: (limits.statement + 1) * 1000 },
  ...{ keepAlive: true, keepAliveInitialDelayMillis: 5_000 },
})

/**
 * What every session of ours promises, whatever the defaults of role and database are: what is
 * committed is on disk (P1), and a peer that is gone is noticed.
 */
export async function prepareSession(client: pg.ClientBase): Promise<void> {
  await client.query(`
    select set_config('synchronous_commit', 'on', false)
    where current_setting('synchronous_commit') not in ('on', 'remote_apply');
    set statement_timeout = '${limits.statement}s';
    set lock_timeout = '${limits.lock}s';
    set idle_in_transaction_session_timeout = '${limits.idle}s';
    set tcp_keepalives_idle = 5;
    set tcp_keepalives_interval = 5;
    set tcp_keepalives_count = 3;
    set tcp_user_timeout = '20s'`)
}

/** Sessions for reading. What fails for want of the server is told as ours. */
export function openReaders(url: string): PostgresPool {
  const pool = new pg.Pool({
    ...clientConfig(url, 'okoro reader'),
    max: 8,
    onConnect: prepareSession,
  })
  hearErrors(pool)
  return {
    connect: async () => {
      try {
        return tellOutages(await pool.connect())
      } catch (cause) {
        throw unreadable(cause)
      }
    },
    end: () => pool.end(),
    options: pool.options,
  }
}

/**
 * Whoever waits for a query is told by its promise. A session that breaks in between, idle or
 * handed out, says so by an event that would end the process if nobody heard it.
 */
export function hearErrors(pool: pg.Pool): void {
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
}

/** A session that was lost, or whose server hangs, does not go back into the pool. */
function tellOutages(client: pg.PoolClient): PostgresPoolClient {
  let isLost = false
  const query = async (text: string, parameters: unknown[]) => {
    try {
      return await client.query(text, parameters)
    } catch (error) {
      if (!isOutage(error)) throw error
      isLost = true
      throw unreadable(error)
    }
  }
  // Cursors are never asked for: logs are read in pages.
  return {
    query: query as unknown as PostgresPoolClient['query'],
    release: () => client.release(isLost),
  }
}

/**
 * Whether an error says that the server is away and not that it refused a statement. Classes 08
 * (connection), 53 (resources) and 57 (shutting down, starting up, timeout), and 25P03 (idle in a
 * transaction); no code at all when the socket or the client's own timer speaks.
 */
export function isOutage(error: unknown): boolean {
  if (!(error instanceof pg.DatabaseError)) return true
  return /^(?:08|53|57|25P03)/.test(error.code ?? '')
}

/** Does not wait: a server that hangs never says goodbye. */
export function drop(client: pg.Client): void {
  client.end().catch(() => {})
}

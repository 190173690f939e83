import type { Migration } from 'kysely/migration'
import { up as first } from './0001-first.ts'
import { up as nodes } from './0002-nodes.ts'
import { up as applicationLimits } from './0003-application-limits.ts'
import { up as leasedAgents } from './0004-leased-agents.ts'
import { up as accountName } from './0005-account-name.ts'

/** In order, append-only: what has landed in somebody's database is never edited. */
export const migrations: Readonly<Record<string, Migration>> = {
  '0001-first': { up: first },
  '0002-nodes': { up: nodes },
  '0003-application-limits': { up: applicationLimits },
  '0004-leased-agents': { up: leasedAgents },
  '0005-account-name': { up: accountName },
}

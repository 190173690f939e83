import { Hono } from 'hono'
import { z } from 'zod'
import { isRefusal } from '../errors.ts'
import { type LoggedRecord, listRecords, type Position } from '../store/audit-log.ts'
import { type AdminEnv, answer, readQuery } from './answer.ts'
import type { AdminDeps } from './deps.ts'
import { pageQuery } from './page.ts'

const position = z
  .string()
  .regex(/^\d{1,15}\.\d{1,15}$/, 'must be <epoch>.<seq>')
  .transform((text): Position => {
    const [epoch = 0, seq = 0] = text.split('.').map(Number)
    return { epoch, seq }
  })

const listQuery = pageQuery.extend({
  cursor: position.optional(),
  order: z.enum(['oldest', 'newest']).default('oldest'),
  agent: z.string().optional(),
  kind: z.string().optional(),
  since: z.iso.datetime({ offset: true }).transform(Date.parse).optional(),
})

/**
 * `/audit`: the log in its order. A cursor is `<epoch>.<seq>`, and that of any record is one: a
 * follower asks for what comes after the last record that it has seen.
 */
export function auditRoutes({ store }: AdminDeps): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>()

  app.get('/', async (c) => {
    const query = readQuery(c, listQuery)
    if (isRefusal(query)) return answer(c, query)
    const { limit, cursor, order, agent, kind, since } = query
    const found = await listRecords(store.db, {
      ...{ order, agent, kind, sinceMs: since, after: cursor ?? null },
      limit: limit + 1,
    })
    const items = found.slice(0, limit)
    const last = items.at(-1)
    return answer(c, { items, next_cursor: found.length > limit && last ? cursorOf(last) : null })
  })

  return app
}

const cursorOf = ({ epoch, seq }: LoggedRecord): string => `${epoch}.${seq}`

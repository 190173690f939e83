import { z } from 'zod'
import { type Refusal, refuse } from '../errors.ts'

/** What every list takes: how many at most, and where the page before ended. */
export const pageQuery = z.object({
  limit: z.coerce.number('must be a number').int().min(1).max(500).default(100),
  cursor: z.string().max(200).optional(),
})

export type PageQuery = z.output<typeof pageQuery>

/** `next_cursor` begins the next page; null on the last one. */
export type Page<T> = { readonly items: readonly T[]; readonly next_cursor: string | null }

/** One page of a list that is short enough to be held whole; the cursor is the last id. */
export function pageOf<T extends { readonly id: string }>(
  all: readonly T[],
  { limit, cursor }: PageQuery,
): Page<T> | Refusal {
  const before = cursor === undefined ? -1 : all.findIndex(({ id }) => id === cursor)
  if (cursor !== undefined && before === -1) return unknownCursor
  return pageFrom(all.slice(before + 1, before + 2 + limit), limit)
}

/** One page of what was asked for with one item more than fits: that one only says "go on". */
export function pageFrom<T extends { readonly id: string }>(
  items: readonly T[],
  limit: number,
): Page<T> {
  const page = items.slice(0, limit)
  return { items: page, next_cursor: items.length > limit ? (page.at(-1)?.id ?? null) : null }
}

export const unknownCursor: Refusal = refuse(
  'invalid_request',
  'cursor: is none of this list; start again without one.',
)

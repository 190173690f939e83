import { type Answer, invalidParam, ok } from '../answer.ts'
import { timezone } from '../data/calendar.ts'
import { type MeasureGroup, measureGroups } from '../data/measures.ts'
import type { Edits } from '../state.ts'
import { withToken } from './access/action.ts'
import { flag, optional, required, whole, wholes } from './params.ts'
import { isWithin, pageOf } from './window.ts'

const pageSize = 300

/**
 * `/measure` `getmeas`: body measures, newest first. Needs `user.metrics`.
 *
 * Without `category` it answers what was measured, not the goals. Here alone `more` is 1 or 0.
 * Source: "Measure - Getmeas".
 */
export const getMeasures = withToken(
  {
    scopes: ['user.metrics'],
    params: {
      meastype: optional(whole),
      meastypes: optional(wholes),
      category: optional(whole),
      startdate: optional(whole),
      enddate: optional(whole),
      lastupdate: optional(whole),
      offset: optional(whole),
    },
  },
  ({ params, life, now, token, world }) => {
    const edits = world.state.editsOf(token.userId)
    const category = params.category ?? 1
    if (category !== 1 && category !== 2) return invalidParam('category')
    const types = [params.meastypes ?? [], params.meastype ?? []].flat()
    const groups = measureGroups(life, now)
      .flatMap((group) => withEdits(group, edits))
      .filter((group) => group.category === category)
      .filter((group) => isWithin(params, group.date) && group.modified > (params.lastupdate ?? 0))
      .flatMap((group) => withTypes(group, types))
    const page = pageOf(groups, params.offset ?? 0, pageSize)
    return ok({
      updatetime: now,
      timezone,
      measuregrps: page.items,
      more: page.hasMore ? 1 : 0,
      offset: page.hasMore ? page.next : 0,
    })
  },
)

/**
 * `/v2/measure` `confirmuser`: says whether an ambiguous measure is this person's. Needs
 * `user.metrics`. Yes makes its attribution 7, no takes it away.
 *
 * Source: "Measure v2 - Confirmuser".
 */
export const confirmUser = withToken(
  {
    scopes: ['user.metrics'],
    params: { grpid: required(whole), is_confirmed: required(flag) },
  },
  ({ params, life, now, token: { userId }, world: { state, deliveries } }): Answer => {
    const group = measureGroups(life, now).find(({ grpid }) => grpid === params.grpid)
    if (group === undefined) return invalidParam('grpid')
    const confirmation = { isConfirmed: params.is_confirmed, at: now }
    const { confirmations } = state.editsOf(userId)
    state.edit(userId, { confirmations: { ...confirmations, [params.grpid]: confirmation } })
    deliveries.announce({ userId, ...newsOf(group) })
    return ok()
  },
)

/** A changed measure is news as a new one is. */
function newsOf({ date, deviceid, measures }: MeasureGroup) {
  const isPressure = measures.some(({ type }) => type === 10)
  const device = deviceid === null ? {} : { deviceid }
  return { appli: isPressure ? 4 : 1, fields: { startdate: date, enddate: date + 1, ...device } }
}

function withEdits(group: MeasureGroup, { confirmations }: Edits): readonly MeasureGroup[] {
  const confirmation = confirmations[group.grpid]
  if (confirmation === undefined) return [group]
  return confirmation.isConfirmed ? [{ ...group, attrib: 7, modified: confirmation.at }] : []
}

function withTypes(group: MeasureGroup, types: readonly number[]): readonly MeasureGroup[] {
  if (types.length === 0) return [group]
  const measures = group.measures.filter(({ type }) => types.includes(type))
  return measures.length === 0 ? [] : [{ ...group, measures }]
}

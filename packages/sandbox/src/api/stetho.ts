import { invalidParam, ok } from '../answer.ts'
import { withToken } from './access/action.ts'
import { optional, required, whole } from './params.ts'
import { pageOf, paging } from './window.ts'

/**
 * `/v2/stetho` `list`: recordings of a stethoscope, of which nobody here has one: an empty list, as
 * everyone gets who lacks the device. Needs `user.metrics`. Source: "Stetho v2 - List".
 */
export const listStetho = withToken(
  {
    scopes: ['user.metrics'],
    params: { startdate: optional(whole), enddate: optional(whole), offset: optional(whole) },
  },
  ({ params }) => {
    const page = pageOf([], params.offset ?? 0, 100)
    return ok({ series: page.items, ...paging(page) })
  },
)

/** `/v2/stetho` `get`: no id is right where there is no recording. Needs `user.metrics`. */
export const getStetho = withToken(
  { scopes: ['user.metrics'], params: { signalid: required(whole) } },
  () => invalidParam('signalid'),
)

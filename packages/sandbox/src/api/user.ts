import { invalidParam, ok } from '../answer.ts'
import { daySeconds, history, timezone } from '../data/calendar.ts'
import { type Device, deviceId, devices } from '../data/devices.ts'
import { goalKilograms } from '../data/measures.ts'
import type { Edits } from '../state.ts'
import { withToken } from './access/action.ts'
import { type Kind, required } from './params.ts'

/** `/v2/user` `getdevice`: the linked devices. Needs `user.info`. Source: "User v2 - Getdevice". */
export const getDevices = withToken(
  {
    scopes: ['user.info'],
    params: {},
  },
  ({ life, now, token, world }) =>
    ok({
      devices: linkedDevices(world.state.editsOf(token.userId)).map((device) => ({
        type: device.type,
        battery: device.battery,
        model: device.model,
        model_id: device.modelId,
        timezone,
        first_session_date: history(now).first * daySeconds,
        last_session_date: Math.floor(now / 3600) * 3600,
        deviceid: deviceId(life.seed, device),
        hash_deviceid: deviceId(life.seed, device),
      })),
    }),
)

/** `/v2/user` `getgoals`. Needs `user.info` or `user.metrics`. Source: "User v2 - Getgoals". */
export const getGoals = withToken(
  {
    scopes: ['user.info', 'user.metrics'],
    params: {},
  },
  () =>
    ok({
      goals: { steps: 9000, sleep: 28_800, weight: { value: goalKilograms * 1000, unit: -3 } },
    }),
)

const mac: Kind<string> = (text) =>
  /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(text) ? text.toLowerCase() : null

const macs: Kind<readonly string[]> = (text) => {
  try {
    const list: unknown = JSON.parse(text)
    if (!Array.isArray(list) || list.length === 0) return null
    const read = list.map((item) => (typeof item === 'string' ? mac(item) : null))
    return read.every((item) => item !== null) ? read : null
  } catch {
    return null
  }
}

/**
 * `/v2/user` `link`: links devices by a JSON list of MAC addresses. Needs `user.info`.
 *
 * Source: "User v2 - Link".
 */
export const linkDevices = withToken(
  {
    scopes: ['user.info'],
    params: { mac_addresses: required(macs) },
  },
  ({ params, token: { userId }, world: { state } }) => {
    const edits = state.editsOf(userId)
    const added = params.mac_addresses
    state.edit(userId, {
      linkedMacs: [...new Set([...edits.linkedMacs, ...added])],
      unlinkedMacs: edits.unlinkedMacs.filter((it) => !added.includes(it)),
    })
    return ok()
  },
)

/** `/v2/user` `unlink`: takes one device away. Needs `user.info`. Source: "User v2 - Unlink". */
export const unlinkDevice = withToken(
  {
    scopes: ['user.info'],
    params: { mac_address: required(mac) },
  },
  ({ params, token: { userId }, world: { state } }) => {
    const edits = state.editsOf(userId)
    const gone = params.mac_address
    if (!linkedDevices(edits).some((device) => device.mac === gone)) {
      return invalidParam('mac_address')
    }
    state.edit(userId, {
      linkedMacs: edits.linkedMacs.filter((it) => it !== gone),
      unlinkedMacs: [...edits.unlinkedMacs, gone],
    })
    return ok()
  },
)

/** The person's own devices less the unlinked, then the linked ones: scales, for all we know. */
function linkedDevices({ linkedMacs, unlinkedMacs }: Edits): readonly Device[] {
  const own: readonly Device[] = Object.values(devices)
  const added = linkedMacs.filter((it) => !own.some((device) => device.mac === it))
  return [
    ...own.filter((device) => !unlinkedMacs.includes(device.mac)),
    ...added.map((it) => ({ ...devices.scale, mac: it })),
  ]
}

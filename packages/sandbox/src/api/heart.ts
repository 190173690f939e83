import { invalidParam, ok } from '../answer.ts'
import { deviceId } from '../data/devices.ts'
import { ecgById, ecgs } from '../data/ecg/recording.ts'
import { ecgSignal } from '../data/ecg/signal.ts'
import { authenticateBySignature } from '../oauth/signature.ts'
import { type Action, withToken } from './access/action.ts'
import { tokenOf } from './access/bearer.ts'
import { flag, optional, required, whole } from './params.ts'
import { isWithin, pageOf, paging } from './window.ts'

const pageSize = 100

/**
 * `/v2/heart` `list`: ECG recordings, newest first. Needs `user.metrics`.
 *
 * Source: "Heart v2 - List".
 */
export const listHeart = withToken(
  {
    scopes: ['user.metrics'],
    params: { startdate: optional(whole), enddate: optional(whole), offset: optional(whole) },
  },
  ({ params, life, now }) => {
    const found = ecgs(life, now).filter(({ timestamp }) => isWithin(params, timestamp))
    const page = pageOf(found, params.offset ?? 0, pageSize)
    const series = page.items.map((it) => ({
      deviceid: deviceId(life.seed, it.device),
      model: it.device.modelId,
      ecg: { signalid: it.signalId, afib: it.afib },
      ...(it.bloodPressure === null ? {} : { bloodpressure: it.bloodPressure }),
      heart_rate: it.heartRate,
      timestamp: it.timestamp,
      modified: it.timestamp + it.seconds,
    }))
    return ok({ series, ...paging(page) })
  },
)

/**
 * `/v2/heart` `get`: one recording, whole microvolts. Needs `user.metrics`, or a signature and the
 * `signal_token` that a partner's device gave out; no device here gives any, so that none is right.
 *
 * Source: "Heart v2 - Get". What `with_filtered` and `with_intervals` add is not recorded anywhere,
 * so they are judged and add nothing.
 */
export const getHeart: Action = (request, world) =>
  request.params.has('signature') ? getSigned(request, world) : getOwn(request, world)

const getSigned: Action = (request, world) => {
  if (tokenOf(request) !== null) return invalidParam('signature')
  const client = authenticateBySignature('get', request.params, world)
  return client.ok ? invalidParam('signal_token') : client.answer
}

const getOwn = withToken(
  {
    scopes: ['user.metrics'],
    params: {
      signalid: required(whole),
      with_filtered: optional(flag),
      with_intervals: optional(flag),
    },
  },
  ({ params, life, now }) => {
    const ecg = ecgById(life, now, params.signalid)
    if (ecg === null) return invalidParam('signalid')
    return ok({
      signal: ecgSignal(life.seed, ecg),
      sampling_frequency: ecg.samplesPerSecond,
      wearposition: ecg.wearPosition,
      model: ecg.device.modelId,
      heart_rate: ecg.heartRate,
    })
  },
)

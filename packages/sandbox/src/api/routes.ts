import { type Answer, refusals } from '../answer.ts'
import type { ApiRequest } from '../http/request.ts'
import { callerOf } from '../limits/caller.ts'
import {
  getSubscription,
  listSubscriptions,
  revokeSubscription,
  subscribe,
  updateSubscription,
} from '../notify/actions.ts'
import { getNonce } from '../oauth/signature.ts'
import { getDemoAccess, revoke } from '../oauth/signed.ts'
import { requestToken } from '../oauth/token.ts'
import type { World } from '../world.ts'
import type { Action } from './access/action.ts'
import { contractOnly, contractServices } from './access/contract.ts'
import { getActivity, getIntradayActivity, getWorkouts } from './activity.ts'
import { getHeart, listHeart } from './heart.ts'
import { confirmUser, getMeasures } from './measure.ts'
import { getSleep, getSleepSummary } from './sleep.ts'
import { getStetho, listStetho } from './stetho.ts'
import { getDevices, getGoals, linkDevices, unlinkDevice } from './user.ts'

/** Every action by its path: one path, many verbs. */
const services: Readonly<Record<string, Readonly<Record<string, Action>>>> = {
  '/v2/oauth2': {
    requesttoken: requestToken,
    revoke,
    getdemoaccess: getDemoAccess,
    ...contract('recoverauthorizationcode', 'listusers', 'createclient'),
  },
  '/v2/signature': { getnonce: getNonce },
  '/measure': { getmeas: getMeasures },
  '/v2/measure': {
    getactivity: getActivity,
    getintradayactivity: getIntradayActivity,
    getworkouts: getWorkouts,
    confirmuser: confirmUser,
  },
  '/v2/sleep': { get: getSleep, getsummary: getSleepSummary },
  '/v2/heart': { list: listHeart, get: getHeart },
  '/v2/stetho': { list: listStetho, get: getStetho },
  '/v2/user': {
    getdevice: getDevices,
    getgoals: getGoals,
    link: linkDevices,
    unlink: unlinkDevice,
    ...contract('get', 'activate', 'addtorpm'),
  },
  '/notify': {
    subscribe,
    get: getSubscription,
    list: listSubscriptions,
    update: updateSubscription,
    revoke: revokeSubscription,
  },
}

/**
 * Answers one call; 2554 for a path, method or action that does not exist, 601 for one that comes
 * too soon.
 */
export async function call(request: ApiRequest, world: World): Promise<Answer> {
  const action = find(request)
  if (action === null) return refusals.unknownAction
  const caller = callerOf(request, world.state)
  if (caller === null) return await action(request, world)
  const tooSoon = world.limits.admit(caller, world.nowMs())
  if (tooSoon !== null) return tooSoon
  const answer = await action(request, world)
  world.limits.settle(caller, answer)
  return answer
}

function contract(...names: readonly string[]): Readonly<Record<string, Action>> {
  return Object.fromEntries(names.map((name) => [name, contractOnly(name)]))
}

function find({ method, path, params }: ApiRequest): Action | null {
  if (method !== 'GET' && method !== 'POST') return null
  const name = params.get('action') ?? ''
  if (contractServices.has(path)) return name === '' ? null : contractOnly(name)
  const actions = Object.hasOwn(services, path) ? services[path] : undefined
  return actions !== undefined && Object.hasOwn(actions, name) ? (actions[name] ?? null) : null
}

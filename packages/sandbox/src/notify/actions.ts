import { type Answer, invalidParam, ok, refusals, refuse } from '../answer.ts'
import { type Action, withToken } from '../api/access/action.ts'
import { tokenOf } from '../api/access/bearer.ts'
import { type Kind, optional, readParams, required } from '../api/params.ts'
import { authenticateBySignature } from '../oauth/signature.ts'
import type { State } from '../state.ts'
import type { World } from '../world.ts'
import { category, mayUse, unassociatedDevice } from './categories.ts'
import {
  describe,
  find,
  isLive,
  isSame,
  keyOf,
  type Subscription,
  subscription,
  without,
} from './subscriptions.ts'

/** Kept as text and judged in the action, where a bad one has a status of its own. */
const anything: Kind<string> = (text) => text

const subscribing = {
  callbackurl: required(anything),
  appli: required(category),
  comment: optional(anything),
}

/**
 * `/notify` `subscribe`. Needs the scope of the category; the category of devices that belong to
 * nobody needs a signature instead of a token, and is there once for the application. Twice the same
 * replaces the comment.
 *
 * 293 for a callback URL that cannot be called or does not answer HEAD with 2xx, 304 for a comment
 * over 255 characters. Source: "Notify - Subscribe".
 */
export const subscribe: Action = (request, world) =>
  request.params.has('signature') ? subscribeSigned(request, world) : subscribeAs(request, world)

const subscribeAs = withToken(
  { scopes: [], params: subscribing },
  ({ params: { callbackurl, appli, comment = '' }, token, world }) => {
    if (!mayUse(token, appli)) return refusals.insufficientScope
    return add(world, subscription(keyOf(token, appli, callbackurl), comment))
  },
)

const subscribeSigned: Action = async (request, world) => {
  if (tokenOf(request) !== null) return invalidParam('signature')
  const client = authenticateBySignature('subscribe', request.params, world)
  if (!client.ok) return client.answer
  const read = readParams(subscribing, request.params)
  if (!read.ok) return invalidParam(read.name)
  const { callbackurl: callbackUrl, appli, comment = '' } = read.values
  if (appli !== unassociatedDevice) return invalidParam('appli')
  const { clientId } = client.application
  const added = subscription({ clientId, userId: null, appli, callbackUrl }, comment)
  const answer = await add(world, added)
  if (answer.status === 0) keepAlone(world.state, added)
  return answer
}

async function add({ state, deliveries }: World, added: Subscription): Promise<Answer> {
  if (added.comment.length > 255) return badComment
  if (!(await deliveries.isReachable(added.callbackUrl))) return badCallback
  state.subscriptions = [...without(state.subscriptions, added), added]
  state.save()
  return ok()
}

/** Ends the application's other subscriptions to the category that it may have once. */
function keepAlone(state: State, kept: Subscription): void {
  state.subscriptions = state.subscriptions.filter(
    (it) => it.clientId !== kept.clientId || it.appli !== kept.appli || isSame(it, kept),
  )
  state.save()
}

/** `/notify` `get`: one subscription; `appli` is 1 when absent. Source: "Notify - Get". */
export const getSubscription = withToken(
  {
    scopes: [],
    params: { callbackurl: required(anything), appli: optional(category) },
  },
  ({ params: { callbackurl, appli = 1 }, token, world, now }) => {
    if (!mayUse(token, appli)) return refusals.insufficientScope
    const found = find(live(world, now), keyOf(token, appli, callbackurl))
    return found === undefined ? noSuchSubscription : ok(describe(found))
  },
)

/** `/notify` `list`: the person's subscriptions at this application. Source: "Notify - List". */
export const listSubscriptions = withToken(
  {
    scopes: [],
    params: { appli: optional(category) },
  },
  ({ params: { appli }, token, world, now }) => {
    if (appli !== undefined && !mayUse(token, appli)) return refusals.insufficientScope
    const profiles = live(world, now)
      .filter(({ clientId, userId }) => clientId === token.clientId && userId === token.userId)
      .filter((it) => appli === undefined || it.appli === appli)
    return ok({ profiles: profiles.map(describe) })
  },
)

/**
 * `/notify` `update`: another URL, category or comment. A new URL is checked as in subscribe.
 *
 * Source: "Notify - Update".
 */
export const updateSubscription = withToken(
  {
    scopes: [],
    params: {
      callbackurl: required(anything),
      appli: required(category),
      new_callbackurl: optional(anything),
      new_appli: optional(category),
      comment: optional(anything),
    },
  },
  async ({ params, token, world, now }): Promise<Answer> => {
    const { new_callbackurl: url, new_appli: appli, comment } = params
    if (url === undefined && appli === undefined && comment === undefined) {
      return invalidParam('new_callbackurl')
    }
    if (![params.appli, appli ?? params.appli].every((it) => mayUse(token, it))) {
      return refusals.insufficientScope
    }
    if (comment !== undefined && comment.length > 255) return badComment
    if (url !== undefined && !(await world.deliveries.isReachable(url))) return badCallback
    const { state } = world
    const old = find(live(world, now), keyOf(token, params.appli, params.callbackurl))
    if (old === undefined) return noSuchSubscription
    const changed = {
      ...old,
      callbackUrl: url ?? old.callbackUrl,
      appli: appli ?? old.appli,
      comment: comment ?? old.comment,
    }
    state.subscriptions = [...without(without(state.subscriptions, old), changed), changed]
    state.save()
    return ok()
  },
)

/**
 * `/notify` `revoke`: ends the subscriptions of a callback URL, of one category when `appli` is
 * sent. 294 when there is none. Source: "Notify - Revoke".
 */
export const revokeSubscription = withToken(
  {
    scopes: [],
    params: { callbackurl: required(anything), appli: optional(category) },
  },
  ({ params: { callbackurl, appli }, token, world, now }) => {
    if (appli !== undefined && !mayUse(token, appli)) return refusals.insufficientScope
    const { state } = world
    const ended = live(world, now).filter((it) =>
      isSame(it, keyOf(token, appli ?? it.appli, callbackurl)),
    )
    if (ended.length === 0) return refuse(294, 'No subscription could be deleted')
    state.subscriptions = ended.reduce(without, state.subscriptions)
    state.save()
    return ok()
  },
)

function live({ state }: World, now: number): readonly Subscription[] {
  return state.subscriptions.filter((it) => isLive(it, now))
}

const badCallback = refuse(293, 'Callback URL is either absent or incorrect')
const badComment = refuse(304, 'The comment is either absent or incorrect')
const noSuchSubscription = refuse(286, 'No such subscription was found')

import { type Answer, invalidParam, ok, refusals, refuse } from '../answer.ts'
import {
  category,
  describe,
  find,
  isCallable,
  isSame,
  keyOf,
  mayUse,
  without,
} from '../subscriptions.ts'
import { withToken } from './action.ts'
import { type Kind, optional, required } from './params.ts'

/** Kept as text and judged in the action, where a bad one has a status of its own. */
const anything: Kind<string> = (text) => text

/**
 * `/notify` `subscribe`. Needs the scope of the category. Twice the same replaces the comment.
 *
 * 293 for a callback URL the provider would not call, 304 for a comment over 255 characters.
 * Source: "Notify - Subscribe".
 */
export const subscribe = withToken(
  {
    scopes: [],
    params: {
      callbackurl: required(anything),
      appli: required(category),
      comment: optional(anything),
    },
  },
  ({ params: { callbackurl, appli, comment = '' }, token, world }) => {
    if (!mayUse(token, appli)) return refusals.insufficientScope
    if (!isCallable(callbackurl)) return badCallback
    if (comment.length > 255) return badComment
    const { clientId, userId } = token
    const added = { clientId, userId, appli, callbackUrl: callbackurl, comment }
    const { state } = world
    state.subscriptions = [...without(state.subscriptions, added), added]
    state.save()
    return ok()
  },
)

/** `/notify` `get`: one subscription; `appli` is 1 when absent. Source: "Notify - Get". */
export const getSubscription = withToken(
  {
    scopes: [],
    params: { callbackurl: required(anything), appli: optional(category) },
  },
  ({ params: { callbackurl, appli = 1 }, token, world }) => {
    if (!mayUse(token, appli)) return refusals.insufficientScope
    const found = find(world.state.subscriptions, keyOf(token, appli, callbackurl))
    return found === undefined ? noSuchSubscription : ok(describe(found))
  },
)

/** `/notify` `list`: the person's subscriptions at this application. Source: "Notify - List". */
export const listSubscriptions = withToken(
  {
    scopes: [],
    params: { appli: optional(category) },
  },
  ({ params: { appli }, token, world }) => {
    if (appli !== undefined && !mayUse(token, appli)) return refusals.insufficientScope
    const profiles = world.state.subscriptions
      .filter(({ clientId, userId }) => clientId === token.clientId && userId === token.userId)
      .filter((it) => appli === undefined || it.appli === appli)
    return ok({ profiles: profiles.map(describe) })
  },
)

/** `/notify` `update`: another URL, category or comment. Source: "Notify - Update". */
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
  ({ params, token, world }): Answer => {
    const { new_callbackurl: url, new_appli: appli, comment } = params
    if (url === undefined && appli === undefined && comment === undefined) {
      return invalidParam('new_callbackurl')
    }
    if (![params.appli, appli ?? params.appli].every((it) => mayUse(token, it))) {
      return refusals.insufficientScope
    }
    if (url !== undefined && !isCallable(url)) return badCallback
    if (comment !== undefined && comment.length > 255) return badComment
    const { state } = world
    const old = find(state.subscriptions, keyOf(token, params.appli, params.callbackurl))
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
  ({ params: { callbackurl, appli }, token, world }) => {
    if (appli !== undefined && !mayUse(token, appli)) return refusals.insufficientScope
    const { state } = world
    const kept = state.subscriptions.filter(
      (it) => !isSame(it, keyOf(token, appli ?? it.appli, callbackurl)),
    )
    if (kept.length === state.subscriptions.length) {
      return refuse(294, 'No subscription could be deleted')
    }
    state.subscriptions = kept
    state.save()
    return ok()
  },
)

const badCallback = refuse(293, 'Callback URL is either absent or incorrect')
const badComment = refuse(304, 'The comment is either absent or incorrect')
const noSuchSubscription = refuse(286, 'No such subscription was found')

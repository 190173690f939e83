import { demoUserId, signedInUserId } from '../data/person.ts'
import type { Reply } from '../http/reply.ts'
import type { World } from '../world.ts'
import { consentPage, errorPage } from './consent-page.ts'
import type { Consent } from './one-time.ts'
import { parseScopes } from './scope.ts'
import { randomToken } from './tokens.ts'

/**
 * `GET /oauth2_user/authorize2`: the page where the demo person decides.
 *
 * What is wrong with the request is shown here and never redirected: a wrong client or redirect
 * URI must not send anybody anywhere. Source: "OAuth 2.0 - Get your authorization code".
 */
export function showConsent(search: URLSearchParams, world: World): Reply {
  const judged = judge(search, world)
  return typeof judged === 'string' ? errorPage(judged) : ask(judged, world, null)
}

/** `POST /oauth2_user/authorize2`: the submitted form. Answers 302 to the application. */
export function answerConsent(form: URLSearchParams, world: World): Reply {
  const consent = world.consents.take(form.get('request') ?? '', world.now())
  if (consent === null) return errorPage('This page was already answered or is too old.')
  if (form.get('decision') !== 'allow') {
    return redirect(consent, { error: 'access_denied', state: consent.state })
  }
  const chosen = consent.scopes.filter((scope) => form.getAll('scope').includes(scope))
  if (chosen.length === 0) return ask(consent, world, 'Choose at least one permission, or deny.')
  const code = randomToken()
  world.codes.put(
    code,
    {
      clientId: consent.clientId,
      redirectUri: consent.redirectUri,
      userId: consent.userId,
      scopes: chosen,
    },
    world.now(),
  )
  return redirect(consent, { code, state: consent.state })
}

function judge(search: URLSearchParams, world: World): Consent | string {
  const repeated = [...search.keys()].find((name) => search.getAll(name).length > 1)
  if (repeated !== undefined) return `The parameter ${repeated} is given more than once.`
  const application = world.state.applications.get(search.get('client_id') ?? '')
  if (application === undefined) return 'The client_id is unknown.'
  const redirectUri = search.get('redirect_uri') ?? ''
  if (!application.redirectUris.includes(redirectUri)) {
    return 'The redirect_uri is not registered for this application.'
  }
  if (search.get('response_type') !== 'code') return 'The response_type must be "code".'
  const scopes = parseScopes(search.get('scope') ?? '')
  if (scopes === null) return 'The scope must be a comma-separated list of known scopes.'
  const state = search.get('state') ?? ''
  if (state === '') return 'The state is required.'
  const mode = search.get('mode')
  if (mode !== 'demo' && mode !== null) return 'The mode must be "demo" or absent.'
  const userId = mode === 'demo' ? demoUserId(world.seed) : signedInUserId(world.seed)
  return { clientId: application.clientId, redirectUri, userId, scopes, state }
}

function ask(consent: Consent, world: World, notice: string | null): Reply {
  const request = randomToken()
  world.consents.put(request, consent, world.now())
  const isDemo = consent.userId === demoUserId(world.seed)
  const person = isDemo ? 'Demo account' : 'Demo person'
  const { clientId, scopes } = consent
  return consentPage({ request, person, clientId, scopes, notice })
}

/** Appends to the URI as text, so that its own query stays as it was registered. */
function redirect(consent: Consent, params: Record<string, string>): Reply {
  const mark = consent.redirectUri.includes('?') ? '&' : '?'
  const location = `${consent.redirectUri}${mark}${new URLSearchParams(params)}`
  return {
    status: 302,
    http: 302,
    headers: { location, 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' },
    body: '',
  }
}

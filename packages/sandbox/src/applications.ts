import type { Application } from './state.ts'
import type { World } from './world.ts'

const URI_LIMIT = 255

/**
 * Registers an application, or replaces the one of the same client id. Returns null, or what is
 * wrong with it.
 *
 * Redirect URIs follow the rules of a restricted application: http, IP addresses and localhost are
 * fine. Source: Withings developer guide, "Callback and redirect URIs".
 */
export function register(world: World, application: Application): string | null {
  const complaint = complaintAbout(application)
  if (complaint !== null) return complaint
  world.state.applications.set(application.clientId, {
    clientId: application.clientId,
    clientSecret: application.clientSecret,
    redirectUris: [...application.redirectUris],
  })
  world.state.save()
  return null
}

function complaintAbout({ clientId, clientSecret, redirectUris }: Application): string | null {
  if (clientId === '') return 'the client id is empty'
  if (clientSecret === '') return 'the client secret is empty'
  const wrong = redirectUris.find((uri) => !isRedirectUri(uri))
  return wrong === undefined ? null : `not a redirect URI: ${wrong}`
}

function isRedirectUri(uri: string): boolean {
  return (
    uri.length <= URI_LIMIT && /^https?:\/\//.test(uri) && URL.canParse(uri) && !/[#\s]/.test(uri)
  )
}

import { Failure } from '../terminal/failure.ts'

/**
 * Does what a person's browser does: opens the connect link, allows everything on the provider's
 * page, and follows it back to the callback with the cookie from the link.
 */
export async function connectAsPerson(link: string): Promise<void> {
  const start = await open(link)
  const cookie = start.headers.getSetCookie().map((line) => line.split(';', 1)[0])
  const consentUrl = locationOf(start)
  const form = await readForm(consentUrl)
  const allowed = await open(new URL(form.action, consentUrl), {
    method: 'POST',
    body: form.fields,
  })
  const back = await open(locationOf(allowed), { headers: { cookie: cookie.join('; ') } })
  if (back.status !== 200) throw broken(`the callback answered ${back.status}`)
}

const open = (url: string | URL, init: RequestInit = {}): Promise<Response> =>
  fetch(url, { ...init, redirect: 'manual', signal: AbortSignal.timeout(10_000) })

function locationOf(answer: Response): string {
  const location = answer.headers.get('location')
  if (location !== null) return location
  throw broken(`${new URL(answer.url).pathname} answered ${answer.status} and led nowhere`)
}

type Form = { readonly action: string; readonly fields: URLSearchParams }

/** The form of the sandbox's page as it would be submitted with the button that allows. */
async function readForm(url: string): Promise<Form> {
  const html = await (await open(url)).text()
  const action = /<form [^>]*action="([^"]+)"/.exec(html)?.[1]
  if (action === undefined) throw broken('its consent page has no form')
  const fields = new URLSearchParams({ decision: 'allow' })
  for (const [input] of html.matchAll(/<input [^>]*>/g)) {
    const [, name = ''] = /name="([^"]+)"/.exec(input) ?? []
    const [, value = ''] = /value="([^"]*)"/.exec(input) ?? []
    fields.append(name, value)
  }
  return { action, fields }
}

const broken = (what: string): Failure =>
  new Failure('failed', `The demo account could not be connected: ${what}.`)

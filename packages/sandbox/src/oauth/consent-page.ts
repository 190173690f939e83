import { createHash } from 'node:crypto'
import type { Reply } from '../http/reply.ts'
import { type Scope, scopes } from './scope.ts'

export type ConsentPage = {
  readonly request: string
  /** Who is signed in. */
  readonly person: string
  readonly clientId: string
  readonly scopes: readonly Scope[]
  readonly notice: string | null
}

/** The page that asks the person. Works without script, by keyboard and by screen reader. */
export function consentPage({ scopes: asked, ...shown }: ConsentPage): Reply {
  const { request, person, clientId, notice } = shown
  return page(
    notice === null ? 200 : 400,
    'Allow access?',
    `<p class="who">Signed in as <strong>${escapeHtml(person)}</strong></p>
    <h1>Share your health data?</h1>
    <p>The application <strong>${escapeHtml(clientId)}</strong> asks for permission to:</p>
    ${notice === null ? '' : `<p class="notice" role="alert">${escapeHtml(notice)}</p>`}
    <form method="post" action="/oauth2_user/authorize2">
      <input type="hidden" name="request" value="${escapeHtml(request)}">
      <fieldset>
        <legend>Permissions</legend>
        ${asked.map(checkbox).join('\n        ')}
      </fieldset>
      <div class="buttons">
        <button type="submit" name="decision" value="allow">Allow</button>
        <button type="submit" name="decision" value="deny" class="quiet">Deny</button>
      </div>
    </form>`,
  )
}

/** What the person sees when the request itself is wrong. Leads nowhere on purpose. */
export function errorPage(message: string): Reply {
  return page(
    400,
    'This link does not work',
    `<h1>This link does not work</h1>
    <p role="alert">${escapeHtml(message)}</p>
    <p>Go back to the application and start again.</p>`,
  )
}

function checkbox(scope: Scope): string {
  return `<label><input type="checkbox" name="scope" value="${scope}" checked> <span>${escapeHtml(scopes[scope])} <small>${scope}</small></span></label>`
}

function page(status: number, title: string, main: string): Reply {
  const body = `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>${escapeHtml(title)} · Withings sandbox</title>
  <style>${style}</style>
</head>
<body>
  <main>
    ${main}
  </main>
  <footer>Withings sandbox: a local stand-in, not run by Withings. The person and the data are invented.</footer>
</body>
</html>
`
  return { status, http: status, headers, body }
}

function escapeHtml(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  }
  return text.replace(/[&<>"']/g, (mark) => entities[mark] ?? mark)
}

const style = `
:root { color-scheme: light dark; --ink: #1d2733; --paper: #fff; --ground: #eef2f5; --accent: #00647a; --line: #7b8894 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8edf1; --paper: #1b232b; --ground: #10161b; --accent: #6fd0e6; --line: #74818c }
}
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-content: center; gap: 1rem; padding: 1rem;
  background: var(--ground); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif }
main { max-width: 30rem; padding: 2rem; border-radius: .75rem; background: var(--paper) }
h1 { margin: 0 0 .5rem; font-size: 1.5rem; line-height: 1.25 }
.who { margin: 0 0 1rem }
.notice { padding: .5rem .75rem; border-left: 4px solid var(--accent) }
strong { overflow-wrap: anywhere }
fieldset { margin: 1rem 0; padding: .25rem 1rem; border: 1px solid var(--line); border-radius: .5rem }
label { display: flex; gap: .75rem; align-items: flex-start; padding: .5rem 0 }
input { width: 1.25rem; height: 1.25rem; flex: none; margin: .15rem 0 0; accent-color: var(--accent) }
small { display: block }
.buttons { display: flex; gap: .75rem }
button { flex: 1; min-height: 2.75rem; border: 2px solid var(--accent); border-radius: .5rem;
  background: var(--accent); color: var(--paper); font: inherit; font-weight: 600; cursor: pointer }
button.quiet { background: transparent; color: var(--accent) }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
footer { max-width: 30rem; font-size: .875rem }
`

const headers = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  // Browsers hold every redirect after the form to form-action, and the application's callback may
  // redirect once more: any web origin is allowed, other schemes are not.
  'content-security-policy': [
    "default-src 'none'",
    `style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
    "form-action 'self' http: https:",
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join('; '),
}

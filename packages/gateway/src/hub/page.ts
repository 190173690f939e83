import { createHash } from 'node:crypto'
import { html, raw } from 'hono/html'

export type Page = {
  readonly status: number
  readonly title: string
  /** What happened; one paragraph each. */
  readonly what: readonly string[]
  /** What to do next. */
  readonly next: string
  readonly tone: 'good' | 'bad'
}

/** A whole page that needs no script, no cookie and no other request. Every value is escaped. */
export function page({ status, title, what, next, tone }: Page): Response {
  const body = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title} · okoro</title>
<style>${raw(style)}</style>
</head>
<body>
<main class="${tone}">
<h1>${title}</h1>
${what.map((paragraph) => html`<p>${paragraph}</p>`)}
<h2>What to do next</h2>
<p>${next}</p>
</main>
<footer>okoro, a credential gateway</footer>
</body>
</html>
`
  return new Response(body.toString(), { status, headers: pageHeaders })
}

const style = `
:root { color-scheme: light dark; --ink: #1b2430; --quiet: #4d5a68; --paper: #fff; --ground: #eef1f4; --good: #0b6e4f; --bad: #a3301c }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e7ecf1; --quiet: #a9b5c1; --paper: #1a222b; --ground: #10161c; --good: #58d0a4; --bad: #ff9b86 }
}
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-content: center; gap: 1rem; padding: 1rem;
  background: var(--ground); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif }
main { max-width: 34rem; padding: 2rem; border-radius: .75rem; border-top: .375rem solid var(--good);
  background: var(--paper); overflow-wrap: anywhere }
main.bad { border-top-color: var(--bad) }
h1 { margin: 0 0 .5rem; font-size: 1.5rem; line-height: 1.25 }
h2 { margin: 1.5rem 0 .25rem; font-size: 1rem }
p { margin: 0 0 .75rem }
footer { color: var(--quiet); font-size: .875rem }
`

/** The address of this page may hold a link, a code or a state: nothing of it goes elsewhere. */
export const quietHeaders = {
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
} as const

const pageHeaders = {
  ...quietHeaders,
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': [
    "default-src 'none'",
    `style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
}

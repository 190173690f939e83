import { dirname } from 'node:path'
import type { Env } from '../../config/settings.ts'

export type Ready = {
  readonly publicUrl: string
  readonly serviceToken: string
  readonly dataDir: string
  readonly sandboxUrl: string
  /** How okoro is started here: `okoro`, `npx okoro` or through npm. */
  readonly okoro: string
}

const endpoints = ['/measure', '/v2/measure', '/v2/sleep', '/v2/heart', '/v2/user', '/v2/notify']

/** The words that start okoro here, from any folder, so that what is printed works when pasted. */
export function startedAs({ npm_lifecycle_event: script, npm_package_json: json }: Env): string {
  if (script === 'npx') return 'npx okoro'
  if (script !== 'demo') return 'okoro'
  const place = json === undefined ? '' : ` --prefix ${quoted(dirname(json))}`
  return `npm run${place} --silent okoro --`
}

/** What to paste into another terminal: bash or zsh, with curl and jq. */
export function instructions({
  publicUrl,
  serviceToken,
  dataDir,
  sandboxUrl,
  okoro,
}: Ready): string {
  return `The okoro demo is running at ${publicUrl}. Ctrl-C stops it.

A made-up Withings account is connected (from the sandbox at ${sandboxUrl}), and an
agent called "demo" may read it. Nothing of this leaves your machine; all of it is in
${dataDir}

1. In another terminal, be that agent. These lines use curl and jq:

export OKORO_URL=${publicUrl}
export OKORO_SERVICE_TOKEN=${serviceToken}

TOKEN=$(curl -sX POST "$OKORO_URL/t/tokens" -H "Authorization: Bearer $OKORO_SERVICE_TOKEN" -H "Content-Type: application/json" \\
  -d '{"provider": "withings", "scope": "read", "intent": "describe what you are doing"}' | jq -r '.token')

${endpoints.map(curl).join('\n')}

2. See okoro refuse what a read token may not do:

curl -X POST "$OKORO_URL/p/withings/v2/user?action=unlink" -H "Authorization: Bearer $TOKEN"

3. See what was written down:

export OKORO_DATA_DIR=${quoted(dataDir)}
${okoro} audit tail
${okoro} agents show demo

For your own account: ${okoro} serve, then ${okoro} connections add withings
(in a terminal without the OKORO_DATA_DIR above: that is the demo's).`
}

const curl = (path: string): string =>
  `curl -X POST ${`"$OKORO_URL/p/withings${path}"`.padEnd(36)} -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" -d '{}'`

/** For a POSIX shell. */
const quoted = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`

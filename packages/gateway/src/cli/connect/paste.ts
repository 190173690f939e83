import type { Connection, Provider } from '../gateway/admin-api.ts'
import type { AdminClient } from '../gateway/admin-client.ts'
import type { Session } from '../session.ts'
import { askSecret } from '../terminal/ask.ts'
import { Failure } from '../terminal/failure.ts'

const secretName = 'OKORO_CREDENTIAL'

type Pasting = {
  readonly admin: AdminClient
  readonly provider: Provider
  /** What every way to connect takes, as the admin API names it. */
  readonly request: object
  /** Options that were given and mean nothing here. */
  readonly strayOptions: readonly string[]
}

/** Asks for a credential that was made at the provider; the gateway tries and keeps it. */
export async function connectByPaste(
  session: Session,
  { admin, provider, request, strayOptions }: Pasting,
): Promise<Connection> {
  const { title, auth } = provider
  const [stray] = strayOptions
  if (stray !== undefined) {
    throw new Failure('usage', `${title} is connected without an application: leave ${stray} out.`)
  }
  if (session.input.isTerminal) session.output.note(`Make one at ${auth.page}`)
  const credential = await askSecret(session, secretName, `${auth.credential} of ${title}`)
  return admin.call<Connection>('POST', '/connections', { ...request, credential })
}

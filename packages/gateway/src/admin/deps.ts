import type { ConnectionsContext } from '../connections/context.ts'
import type { Credentials } from '../connections/credentials.ts'
import type { SigningKeys } from '../tokens/signing-keys.ts'
import type { Vault } from '../vault/keys.ts'
import type { Random } from '../words.ts'

/** What this door is given once, at the wiring. */
export type AdminDeps = ConnectionsContext & {
  readonly vault: Vault
  readonly credentials: Pick<Credentials, 'take' | 'test' | 'forget'>
  readonly signingKeys: Pick<SigningKeys, 'current' | 'publicKeys' | 'rotate'>
  readonly gatewayVersion: string
  /** Told of every fault of ours, for the log. */
  readonly onFault: (error: unknown, requestId: string) => void
}

/** An id such as `agt_3f…`: 96 random bits. */
export const newId = (prefix: 'agt' | 'stk' | 'gra' | 'req', random: Random): string =>
  `${prefix}_${Buffer.from(random(12)).toString('hex')}`

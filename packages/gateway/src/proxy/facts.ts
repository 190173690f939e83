import { hash } from 'node:crypto'
import type { CallFacts } from '../audit/append.ts'
import type { Provider } from '../catalog/provider.ts'
import type { ConnectionView } from '../tokens/operation-token.ts'
import type { ComposedRequest, Operation, Transport } from '../words.ts'
import type { Call } from './call.ts'

/** Who calls, as far as it is known. */
export type Caller = {
  readonly operation: Operation
  readonly agentName: string | null
  readonly connection: ConnectionView | null
}

/** What every record of this call says, as far as it is known. */
export function factsOf(
  call: Call,
  { operation, agentName, connection }: Caller,
  { composed, attemptNo }: { composed: ComposedRequest | null; attemptNo: number },
): CallFacts {
  const { parts, provider, request, requestId } = call
  const body = composed && heldBytesOf(composed)
  return {
    requestId,
    attemptNo,
    operation,
    agentName,
    connectionLabel: connection?.label ?? null,
    owner: connection?.owner ?? null,
    agentMethod: request.method ?? '',
    agentPath: call.url,
    catalogDigest: parts.catalog.digest,
    sandbox: provider.sandbox !== null,
    transport: transportOf(provider, composed?.origin ?? provider.origin),
    method: composed?.method ?? null,
    target: composed && composed.path + (composed.query === null ? '' : `?${composed.query}`),
    action: composed?.action ?? null,
    requestDigest: body && hash('sha256', body, 'base64url'),
  }
}

export const heldBytesOf = ({ body }: ComposedRequest) => (body === 'streamed' ? null : body)

function transportOf({ sandbox }: Provider, origin: string): Transport {
  if (!origin.startsWith('https:')) return 'plain'
  return sandbox === null ? 'tls' : 'tls_own_ca'
}

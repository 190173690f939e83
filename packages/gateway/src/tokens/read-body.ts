import { type Refusal, refuse } from '../errors.ts'

/** Of a request to this door. */
const maxBytes = 65_536

/**
 * The body as text. Refusals: `invalid_request` for another content type, an encoding or bytes
 * that are no UTF-8, `payload_too_large` beyond 64 KiB, `request_timeout` when it broke off.
 */
export async function readBody(request: Request, contentType: string): Promise<string | Refusal> {
  if (!isContentType(request.headers.get('content-type'), contentType)) {
    return refuse('invalid_request', `The header \`Content-Type\` must be ${contentType}.`)
  }
  if (request.headers.has('content-encoding')) {
    return refuse('invalid_request', 'The body must be sent without `Content-Encoding`.')
  }
  if (Number(request.headers.get('content-length')) > maxBytes) return tooLarge
  const bytes = await readBytes(request.body)
  if (!(bytes instanceof Uint8Array)) return bytes
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return refuse('invalid_request', 'The body is not UTF-8.')
  }
}

async function readBytes(body: Request['body']): Promise<Uint8Array | Refusal> {
  const chunks: Uint8Array[] = []
  let length = 0
  try {
    for await (const chunk of body ?? []) {
      length += chunk.length
      if (length > maxBytes) return tooLarge
      chunks.push(chunk)
    }
  } catch {
    return refuse('request_timeout', 'The body broke off before its end.')
  }
  return Buffer.concat(chunks)
}

const tooLarge = refuse(
  'payload_too_large',
  `The body is larger than ${maxBytes} bytes, the limit here.`,
)

/** The media type alone, or with the one parameter that changes nothing (RFC 9110, section 8.3). */
function isContentType(header: string | null, expected: string): boolean {
  const [type = '', ...parameters] = (header ?? '').split(';').map((part) => part.trim())
  return (
    type.toLowerCase() === expected &&
    parameters.every((parameter) => /^charset="?utf-8"?$/i.test(parameter))
  )
}

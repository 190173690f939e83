import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type Refusal, refuse } from '../errors.ts'
import { valuesOf } from './headers.ts'

/** Header lines in one request; node itself drops what lies beyond its own limit in silence. */
export const maxHeaderLines = 100

/**
 * What RFC 9112 forbids and node's parser lets through to the handler; null when the message is
 * framed in exactly one way. After a refusal the socket is destroyed: nobody knows where the next
 * request would begin. Deviation from section 3.2.2: the absolute form is refused.
 */
export function checkFraming(request: IncomingMessage): Refusal | null {
  const { rawHeaders, httpVersion, url = '' } = request
  if (rawHeaders.length > maxHeaderLines * 2) {
    return refuse('headers_too_large', `More than ${maxHeaderLines} header lines.`)
  }
  const values = (name: string) => valuesOf(rawHeaders, name)
  const encodings = values('transfer-encoding')
  const lengths = values('content-length')
  const hosts = values('host')
  if (hosts.length !== 1) return broken('A request has exactly one Host header.')
  if (!isHost(hosts[0] ?? '')) return broken('The Host header is no host.')
  if (encodings.length > 0 && lengths.length > 0) {
    return broken('Transfer-Encoding and Content-Length together can be read in two ways.')
  }
  if (encodings.length > 1 || (encodings[0] ?? 'chunked').toLowerCase() !== 'chunked') {
    return broken('The only transfer coding is chunked.')
  }
  if (lengths.length > 1 || !/^\d{1,15}$/.test(lengths[0] ?? '0')) {
    return broken('Content-Length is one decimal number.')
  }
  if (httpVersion !== '1.1' && (encodings.length > 0 || (lengths[0] ?? '0') !== '0')) {
    return broken('A body needs HTTP/1.1.')
  }
  if (!url.startsWith('/')) return broken('The request target is a path that begins with "/".')
  if (url.includes('#')) return broken('A request target has no fragment.')
  return null
}

const isHost = (text: string): boolean =>
  /^[\w.:[\]-]+$/.test(text) && URL.canParse(`http://${text}`)

const broken = (message: string): Refusal => refuse('bad_framing', message)

/**
 * Sockets whose request is being passed on while it arrives: nothing but the answer to that call
 * may be written to them, and not before its outcome is durable (P2).
 */
export const passedOn = new WeakSet<Duplex>()

/** The refusal for what node's parser reports through `clientError`; null to just hang up. */
export function refusalOfParser(error: Error & { readonly code?: string }): Refusal | null {
  switch (error.code) {
    case 'ECONNRESET':
    case 'EPIPE':
      return null
    case 'HPE_HEADER_OVERFLOW':
      return refuse('headers_too_large', 'The header section is larger than 16 KiB.')
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return refuse('request_timeout', 'The request did not arrive in time.')
    default:
      return refuse('bad_framing', 'This is no well-formed HTTP/1.1 request.')
  }
}

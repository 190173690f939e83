import { type IncomingMessage, request as plainRequest } from 'node:http'
import { request as tlsRequest } from 'node:https'
import type { LookupFunction } from 'node:net'

/** The strictest time that a page of the provider names for the answer. */
const ANSWER_MS = 2000

/**
 * Would the provider call this? An application in restricted mode may also use http, IP addresses
 * and localhost. Here it must: a sandbox sends nothing to another machine.
 *
 * Source: Withings developer guide, "Callback and redirect URIs".
 */
export function isCallable(url: string): boolean {
  if (url.length > 255 || !/^https?:\/\//.test(url) || !URL.canParse(url)) return false
  const { hostname } = new URL(url)
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d+){3}$/.test(hostname)
}

export type Sending = {
  readonly url: string
  readonly method: 'HEAD' | 'POST'
  readonly body: string
  readonly signal: AbortSignal
}

/** Sends one request to a callable URL. The HTTP status, or null when none came in time. */
export function send({ url, method, body, signal }: Sending): Promise<number | null> {
  return new Promise((resolve) => {
    const open = url.startsWith('https:') ? tlsRequest : plainRequest
    const request = open(url, {
      method,
      headers: method === 'POST' ? { 'content-type': 'application/x-www-form-urlencoded' } : {},
      agent: false,
      lookup: loopbackOnly,
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
    })
    request.once('response', (response: IncomingMessage) => {
      response.once('error', () => undefined).resume()
      resolve(response.statusCode ?? null)
    })
    request.on('error', () => resolve(null))
    request.end(body)
  })
}

/** Whatever this machine's hosts file says of localhost. */
const loopbackOnly: LookupFunction = (_, options, done) => {
  const addresses = [
    { address: '127.0.0.1', family: 4 },
    { address: '::1', family: 6 },
  ]
  if (options.all === true) done(null, addresses)
  else done(null, '127.0.0.1', 4)
}

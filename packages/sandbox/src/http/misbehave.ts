import type { ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault } from '../control/faults.ts'
import { type Reply, send } from './reply.ts'

/** How long sent bytes get to arrive before the connection is reset behind them. */
const FLUSH_MS = 50

/**
 * Answers a call as the fault says instead of with `genuine`, which is asked for only where the
 * fault lets the call take effect.
 *
 * @returns the status that went out, null when none did.
 */
export async function misbehave(
  response: ServerResponse,
  fault: Fault,
  genuine: () => Promise<Reply>,
): Promise<number | null> {
  const reply = fault.after_effect === true || fault.kind === 'slow' ? await genuine() : null
  if (fault.kind !== 'endless') await sleep(fault.delay_ms ?? (fault.kind === 'slow' ? 1000 : 0))
  switch (fault.kind) {
    case 'hang':
      return null
    case 'reset':
      response.socket?.resetAndDestroy()
      return null
    case 'reset_midway':
      return resetMidway(response, fault.body ?? reply?.body ?? '{"status":0,"body":{"partial":')
    case 'garbage':
      response.socket?.end(fault.body ?? '\u0000\u0001this is no HTTP\r\n\r\n')
      return null
    case 'endless':
      return neverEnd(response, fault)
    case 'slow':
      if (reply !== null) send(response, reply)
      return reply?.status ?? null
    case 'http':
      return sendHttp(response, fault)
    case 'envelope':
      return sendEnvelope(response, fault)
  }
}

async function resetMidway(response: ServerResponse, text: string): Promise<number> {
  const part = text.slice(0, Math.ceil(text.length / 2))
  const headers = { 'content-type': 'application/json', 'content-length': text.length + 1_000_000 }
  response.writeHead(200, headers).write(part)
  await sleep(FLUSH_MS)
  response.socket?.resetAndDestroy()
  return 200
}

function neverEnd(response: ServerResponse, fault: Fault): number {
  const chunk = fault.body ?? ' '.repeat(1024)
  response.writeHead(200, { 'content-type': 'application/json' })
  const timer = setInterval(() => {
    if (!response.writableNeedDrain) response.write(chunk)
  }, fault.delay_ms ?? 20)
  response.once('close', () => clearInterval(timer))
  return 200
}

function sendHttp(response: ServerResponse, fault: Fault): number {
  const status = fault.status ?? 500
  const headers = { 'content-type': 'text/html; charset=utf-8', ...fault.headers }
  send(response, { status, http: status, headers, body: fault.body ?? '' })
  return status
}

function sendEnvelope(response: ServerResponse, fault: Fault): number {
  const status = fault.status ?? 522
  const error = JSON.stringify(fault.error ?? 'Timeout')
  const body = `{"status":${status},"body":${fault.body ?? '{}'},"error":${error}}`
  const headers = { 'content-type': 'application/json', ...fault.headers }
  send(response, { status, http: 200, headers, body })
  return status
}

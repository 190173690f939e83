import { InvalidArgumentError } from 'commander'

export type CallLimit = { readonly requests: number; readonly seconds: number }

export type LimitChoice = CallLimit | 'default' | 'none'

/** `600/60`, for commander to parse an option with: so many calls in so many seconds. */
export function parseLimit(text: string): CallLimit {
  const [, requests, seconds] = /^(\d{1,7})\/(\d{1,5})$/.exec(text) ?? []
  if (requests === undefined || seconds === undefined) {
    throw new InvalidArgumentError('A limit is a number of calls and of seconds, as in 600/60.')
  }
  return { requests: Number(requests), seconds: Number(seconds) }
}

/** The same, or a word. */
export const parseLimitChoice = (text: string): LimitChoice =>
  text === 'default' || text === 'none' ? text : parseLimit(text)

/** As it is typed. */
export const limitSyntax = (limit: CallLimit | null): string =>
  limit === null ? 'none' : `${limit.requests}/${limit.seconds}`

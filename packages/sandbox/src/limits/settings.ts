import { isRecord } from '../json.ts'

/** The switches of both kinds of 601. */
export type LimitSettings = {
  /** Refuse a call that repeats an earlier one's arguments within 10 seconds. */
  readonly duplicateGuard: boolean
  /** Does a call that was answered with an in-body 401 count as an earlier one? */
  readonly after401: boolean
  /** For one application, all its users together; null is no limit. */
  readonly requestsPerMinute: number | null
}

/** As strict as the recordings and the documentation of the free plan allow. */
export const strict: LimitSettings = {
  duplicateGuard: true,
  after401: true,
  requestsPerMinute: 120,
}

/** For tests that repeat themselves, and for people who paste a line twice. */
export const unlimited: LimitSettings = {
  duplicateGuard: false,
  after401: false,
  requestsPerMinute: null,
}

const members: Readonly<Record<string, Member>> = {
  duplicate_guard: { name: 'duplicateGuard', isRight: isBoolean },
  after_401: { name: 'after401', isRight: isBoolean },
  requests_per_minute: {
    name: 'requestsPerMinute',
    isRight: (value) => value === null || (Number.isSafeInteger(value) && Number(value) > 0),
  },
}

type Member = {
  readonly name: keyof LimitSettings
  readonly isRight: (value: unknown) => boolean
}

/** Reads the body of `POST /limits`, which may name some of them. A text says what is wrong. */
export function parseLimits(value: unknown): Partial<LimitSettings> | string {
  if (!isRecord(value)) return 'the limits must be an object'
  const read: Partial<Record<keyof LimitSettings, unknown>> = {}
  for (const [key, given] of Object.entries(value)) {
    const member = Object.hasOwn(members, key) ? members[key] : undefined
    if (member === undefined) return `unknown member: ${key}`
    if (!member.isRight(given)) return `badly typed: ${key}`
    read[member.name] = given
  }
  return read as Partial<LimitSettings>
}

export function describeLimits(settings: LimitSettings) {
  return Object.fromEntries(Object.entries(members).map(([key, { name }]) => [key, settings[name]]))
}

function isBoolean(value: unknown): boolean {
  return typeof value === 'boolean'
}

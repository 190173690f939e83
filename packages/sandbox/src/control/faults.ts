import { isRecord } from '../json.ts'

/** What can go wrong on purpose. */
export const faultKinds = [
  'hang',
  'reset',
  'reset_midway',
  'garbage',
  'endless',
  'slow',
  'http',
  'envelope',
] as const

export type FaultKind = (typeof faultKinds)[number]

export type Fault = {
  readonly kind: FaultKind
  /** Only calls of this path, this action; every call when absent. */
  readonly path?: string
  readonly action?: string
  /** How many more calls; until deleted when absent. */
  readonly times?: number
  readonly status?: number
  readonly error?: string
  readonly delay_ms?: number
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
  /** The call takes effect before the fault hides its answer: a lost answer, not a lost request. */
  readonly after_effect?: boolean
}

/** The faults that wait for a call. */
export class Faults {
  #waiting: readonly Fault[] = []

  add(faults: readonly Fault[]): void {
    this.#waiting = [...this.#waiting, ...faults]
  }

  all(): readonly Fault[] {
    return this.#waiting
  }

  clear(): void {
    this.#waiting = []
  }

  /** Takes one use of the first fault that fits this call. */
  take(path: string, action: string | undefined): Fault | null {
    const found = this.#waiting.find(
      (it) => (it.path ?? path) === path && (it.action ?? action) === action,
    )
    if (found === undefined) return null
    this.#waiting = this.#waiting.flatMap((it) => (it === found ? spend(it) : [it]))
    return found
  }
}

function spend(fault: Fault): readonly Fault[] {
  if (fault.times === undefined) return [fault]
  return fault.times > 1 ? [{ ...fault, times: fault.times - 1 }] : []
}

/** Reads the body of `POST /faults`. Returns what is wrong with it as text. */
export function parseFaults(value: unknown): readonly Fault[] | string {
  const faults = isRecord(value) ? value.faults : undefined
  if (!Array.isArray(faults)) return 'faults must be a list'
  const wrong = faults.map(complaint).find((it) => it !== null)
  return wrong ?? (faults as readonly Fault[])
}

function complaint(fault: unknown): string | null {
  if (!isRecord(fault)) return 'a fault must be an object'
  if (!faultKinds.some((kind) => kind === fault.kind)) return `unknown kind: ${fault.kind}`
  const unknown = Object.keys(fault).find((name) => !Object.hasOwn(members, name))
  if (unknown !== undefined) return `unknown member: ${unknown}`
  const mistyped = Object.entries(members).find(
    ([name, isRight]) => fault[name] !== undefined && !isRight(fault[name]),
  )
  return mistyped === undefined ? null : `badly typed: ${mistyped[0]}`
}

const isText = (value: unknown) => typeof value === 'string'
const isCount = (value: unknown) => Number.isSafeInteger(value) && Number(value) >= 0

const members: Readonly<Record<keyof Fault, (value: unknown) => boolean>> = {
  kind: isText,
  path: isText,
  action: isText,
  times: (value) => isCount(value) && value !== 0,
  status: isCount,
  error: isText,
  delay_ms: isCount,
  body: isText,
  headers: (value) => isRecord(value) && Object.values(value).every(isText),
  after_effect: (value) => typeof value === 'boolean',
}

/** One line of `okoro doctor`. */
export type Finding = {
  readonly state: 'ok' | 'warn' | 'fail'
  readonly name: string
  readonly message: string
  /** What to do about it; null when there is nothing to do. */
  readonly advice: string | null
}

export const ok = (name: string, message: string): Finding => ({
  ...{ state: 'ok', name, message, advice: null },
})

export const warn = (name: string, message: string, advice: string): Finding => ({
  ...{ state: 'warn', name, message, advice },
})

export const fail = (name: string, message: string, advice: string): Finding => ({
  ...{ state: 'fail', name, message, advice },
})

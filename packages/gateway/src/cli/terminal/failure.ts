/**
 * How a command ends, in one table: what scripts may rely on, and what `okoro --help` shows.
 */
export const exitCodes = {
  ok: { code: 0, about: 'done' },
  failed: { code: 1, about: 'something failed here, or a check found what must be mended' },
  usage: { code: 2, about: 'the command line or a setting is wrong' },
  refused: { code: 3, about: 'the gateway or the provider refused' },
  unreachable: { code: 4, about: 'the gateway could not be reached, or cannot write just now' },
  /** EX_IOERR of sysexits.h; main.ts ends with it. */
  disk: { code: 74, about: 'the disk failed to keep a write: start again, and the log recovers' },
  /** EX_TEMPFAIL of sysexits.h; main.ts ends with it. */
  dead: { code: 75, about: 'another node took this one for dead: start again' },
  interrupted: { code: 130, about: 'stopped with Ctrl-C' },
} as const satisfies Record<string, { readonly code: number; readonly about: string }>

export type Ending = keyof typeof exitCodes

/** Ends a command with one message for a person in trouble: what happened and what to do. */
export class Failure extends Error {
  readonly ending: Exclude<Ending, 'ok'>

  constructor(ending: Exclude<Ending, 'ok'>, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'Failure'
    this.ending = ending
  }
}

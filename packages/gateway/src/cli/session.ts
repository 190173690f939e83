import type { ChildProcess } from 'node:child_process'
import type { Command } from 'commander'
import type { Env } from '../config/settings.ts'
import type { LoadedConfig } from '../config.ts'
import type { Clock, Random } from '../words.ts'
import type { AdminClient, OpenApp } from './gateway/admin-client.ts'
import type { Input } from './terminal/input.ts'
import type { Output } from './terminal/output.ts'

export type LoadedSettings = Extract<LoadedConfig, { readonly kind: 'config' }>

/** How this process ends: with a code, or by a signal. */
export type ExitStatus = number | NodeJS.Signals

/** What the outside world lets a command do with processes. */
export type ProcessDoor = {
  /**
   * Signals no longer end this process or abort `stop`, they are received; returns how to give
   * them back.
   */
  takeSignals(
    signals: readonly NodeJS.Signals[],
    receive: (signal: NodeJS.Signals) => void,
  ): () => void
  /** Stops this process as Ctrl-Z does; returns once it was continued. */
  stopItself(): void
  /** Starts a command in this process group, on the same terminal or pipes. */
  startChild(argv: readonly string[], env: Readonly<Record<string, string>>): ChildProcess
}

/** What a command works with. */
export type Session = ProcessDoor & {
  readonly output: Output
  readonly input: Input
  readonly env: Env
  readonly clock: Clock
  readonly random: Random
  readonly gatewayVersion: string
  /** Aborted by Ctrl-C and by whoever ends the process: a command that runs on stops then. */
  readonly stop: AbortSignal
  readonly openApp: OpenApp
  /** The settings; ends the command with all that is wrong with them. */
  settings(options?: { readonly withoutFile: boolean }): LoadedSettings
  /** The text of a file, or null when there is none. */
  readFile(path: string): string | null
  /** How to end when all went well, for a command that stands for another one. */
  endAs(status: ExitStatus): void
  /** Runs with the gateway of the data folder, and lets go of it afterwards. */
  withAdmin<T>(work: (admin: AdminClient) => Promise<T>): Promise<T>
}

/** Adds options, subcommands and actions to a command that has its name already. */
export type AddCommand = (command: Command, session: Session) => void

/** Resolves when the command is told to stop. */
export const stopped = (stop: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (stop.aborted) resolve()
    else stop.addEventListener('abort', () => resolve(), { once: true })
  })

/** Waits; ends early, without an error, when the signal says so. */
export const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end, { once: true })
  })

import type { Command } from 'commander'
import type { Env } from '../config/settings.ts'
import type { LoadedConfig } from '../config.ts'
import type { Clock, Random } from '../words.ts'
import type { AdminClient, OpenApp } from './gateway/admin-client.ts'
import type { Input } from './terminal/input.ts'
import type { Output } from './terminal/output.ts'

export type LoadedSettings = Extract<LoadedConfig, { readonly kind: 'config' }>

/** What a command works with. */
export type Session = {
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

import { constants } from 'node:os'

/** Signals that `okoro run` takes itself as long as its command runs. */
export const takenSignals = [
  ...['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'],
  ...['SIGUSR1', 'SIGUSR2', 'SIGCONT'],
] as readonly NodeJS.Signals[]

/** What a terminal sends for Ctrl-C and Ctrl-\, to its whole foreground process group at once. */
const keyboardSignals: readonly NodeJS.Signals[] = ['SIGINT', 'SIGQUIT']

/**
 * Whether a signal that reached this process has to be passed on to its child, which is in the same
 * process group. Nothing tells who sent a signal. A terminal sends one only to the group that is in
 * its foreground; there Ctrl-C and Ctrl-\ have reached the child by themselves, and passing them on
 * would make two of one. Anywhere else no terminal sent them, and all signals are passed on.
 */
export const mustPassOn = (signal: NodeJS.Signals, isInForeground: boolean): boolean =>
  !(isInForeground && keyboardSignals.includes(signal))

/**
 * Whether this process's group is the foreground one of its terminal, out of `/proc/self/stat`
 * (proc_pid_stat(5)): field 5 is the group, 7 the terminal (0: none), 8 the terminal's group.
 */
export function isInForeground(stat: string): boolean {
  const [, , group, , terminal, foreground] = fieldsOf(stat)
  return terminal !== '0' && group === foreground
}

/** Whether a signal has stopped a process, out of its `/proc/PID/stat`. */
export const isStopped = (stat: string): boolean => fieldsOf(stat)[0] === 'T'

/** From field 3 on: the name of the program may have spaces and parentheses of its own. */
const fieldsOf = (stat: string): readonly string[] =>
  stat.slice(stat.lastIndexOf(')') + 2).split(' ')

/** Signals whose default makes a core file; ours would have the service token in it. */
const coreSignals: readonly NodeJS.Signals[] = [
  ...(['SIGQUIT', 'SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGBUS'] as const),
  ...(['SIGFPE', 'SIGSEGV', 'SIGXCPU', 'SIGXFSZ', 'SIGSYS'] as const),
]

/** How to end like a child that a signal ended: by the same one, so that shells see it. */
export const endingLike = (signal: NodeJS.Signals): NodeJS.Signals | number =>
  coreSignals.includes(signal) ? exitCodeOf(signal) : signal

/** As shells count: 128 and the number of the signal. */
export const exitCodeOf = (signal: NodeJS.Signals): number => 128 + constants.signals[signal]

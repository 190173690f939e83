import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { endingLike, isInForeground, isStopped, mustPassOn, takenSignals } from './signals.ts'

const stat = (name: string, group: number, terminal: number, foreground: number) =>
  `4242 (${name}) S 4000 ${group} 4000 ${terminal} ${foreground} 4194304 1 2 3`

suite('whether a terminal may have sent a signal', () => {
  for (const [what, line, expected] of [
    ['in the foreground group of a terminal it may', stat('node', 42, 34816, 42), true],
    ['in the background it may not', stat('node', 42, 34816, 7), false],
    ['without a terminal it may not', stat('node', 42, 0, -1), false],
    ['a name cannot pretend', stat('x) S 1 7 1 34816 7', 42, 0, -1), false],
  ] as const) {
    test(what, () => assert.equal(isInForeground(line), expected))
  }
})

test('a process that was stopped says so', () => {
  assert.ok(isStopped('7 (a) S) T 1 7 7 0 -1'))
  assert.ok(!isStopped('7 (a) T) S 1 7 7 0 -1'))
})

suite('a signal to this process', () => {
  test('in the foreground is passed on unless the keyboard may have sent it', () => {
    const passed = takenSignals.filter((signal) => mustPassOn(signal, true))
    assert.deepEqual(passed, ['SIGHUP', 'SIGTERM', 'SIGUSR1', 'SIGUSR2', 'SIGCONT'])
  })

  test('elsewhere is passed on whatever it is', () => {
    assert.ok(takenSignals.every((signal) => mustPassOn(signal, false)))
  })
})

suite('the end of a child by a signal', () => {
  test('is ours, too', () => {
    assert.deepEqual(['SIGTERM', 'SIGKILL', 'SIGINT'].map(ending), ['SIGTERM', 'SIGKILL', 'SIGINT'])
  })

  test('is a code where the signal would write our memory to a file', () => {
    assert.deepEqual(['SIGQUIT', 'SIGABRT', 'SIGSEGV'].map(ending), [131, 134, 139])
  })
})

const ending = (signal: string) => endingLike(signal as NodeJS.Signals)

/**
 * A reporter for `node --test` that writes one JSON line, a Tally, at the end of the run.
 *
 * Counted are tests without subtests. A test or suite around others counts only when it failed by
 * itself, as in a hook. Nothing may be skipped: what was, and a file without tests, is a failure.
 */
import { relative } from 'node:path'
import type { EventData } from 'node:test'

export type Tally = {
  readonly passed: number
  readonly failed: number
  /** Failures that the runner itself reports as passed. */
  readonly complaints: readonly string[]
}

export type TestEvent = {
  readonly type: string
  readonly data: unknown
}

type Ended = Pick<EventData.TestPass & EventData.TestFail, 'name' | 'nesting'> &
  Partial<Pick<EventData.TestPass & EventData.TestFail, 'file' | 'skip' | 'todo'>> & {
    readonly details?: { readonly type?: string; readonly error?: { failureType?: string } }
  }

export async function* tallyReporter(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  yield JSON.stringify(await tally(events))
}

// The runner loads reporters by their default export.
// biome-ignore lint/style/noDefaultExport: see above
export { tallyReporter as default }

export async function tally(events: AsyncIterable<TestEvent>): Promise<Tally> {
  const parents = new Set<string>()
  const complaints: string[] = []
  let passed = 0
  let failed = 0
  for await (const { type, data } of events) {
    if (type !== 'test:pass' && type !== 'test:fail') continue
    const test = data as Ended
    const { file = '', nesting, details } = test
    const isParent = parents.delete(`${nesting} ${file}`) || details?.type === 'suite'
    if (nesting > 0) parents.add(`${nesting - 1} ${file}`)

    const complaint = type === 'test:pass' || isTodo(test) ? complaintAbout(test) : undefined
    if (complaint !== undefined) complaints.push(complaint)
    if (complaint !== undefined) failed += 1
    else if (type === 'test:pass') passed += isParent ? 0 : 1
    else if (details?.error?.failureType !== 'subtestsFailed') failed += 1
  }
  return { passed, failed, complaints }
}

function complaintAbout(test: Ended): string | undefined {
  const { name, file = '', nesting } = test
  if (isSet(test.skip)) return `${file}: "${name}" was skipped`
  if (isTodo(test)) return `${file}: "${name}" is still to do`
  // The runner passes a file without tests under the file's own name.
  const isFile = nesting === 0 && (name === file || name === relative(process.cwd(), file))
  return isFile ? `${file}: has no tests` : undefined
}

function isTodo({ todo }: Ended): boolean {
  return isSet(todo)
}

/** A reason, even an empty one, or true. */
function isSet(mark: string | boolean | undefined): boolean {
  return mark !== undefined && mark !== false
}

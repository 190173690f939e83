import assert from 'node:assert/strict'
import { test } from 'node:test'
import { activityDays } from './activity.ts'
import { ecgs } from './ecg/recording.ts'
import type { Life } from './happening.ts'
import { measureGroups } from './measures.ts'
import { nights } from './sleep/night.ts'
import { workouts } from './workouts.ts'

const now = 1_795_435_200
const day = 86_400
const lifeOf = (seed: string): Life => ({ seed, happenings: [] })

/** Everything that has an id of its own, by the two things it may depend on. */
const histories: Readonly<Record<string, (life: Life, now: number) => readonly unknown[]>> = {
  'body measures': (life, at) => measureGroups(life, at).filter(({ attrib }) => attrib !== 4),
  'days of activity': ({ seed }, at) => activityDays(seed, at),
  workouts,
  nights,
  'heart recordings': ecgs,
}

for (const [what, history] of Object.entries(histories)) {
  test(`the past ${what} are the same tomorrow`, () => {
    const tomorrow = new Set(history(lifeOf('seed'), now + 2 * day).map((it) => JSON.stringify(it)))
    const finished = history(lifeOf('seed'), now).filter((it) => !isToday(it))
    const kept = finished.filter((it) => tomorrow.has(JSON.stringify(it)))
    const movedOut = finished.length - kept.length
    assert.ok(kept.length >= 20 && movedOut <= 4, `${movedOut} of ${finished.length} changed`)
  })

  test(`another seed is another person: ${what}`, () => {
    assert.notDeepEqual(history(lifeOf('seed'), now), history(lifeOf('other'), now))
  })
}

test('a night ends before the next one starts', () => {
  const all = nights(lifeOf('seed'), now)
  for (const [index, { end }] of all.entries()) {
    assert.ok(end < (all[index + 1]?.start ?? Number.POSITIVE_INFINITY))
  }
})

test("today's activity grows hour by hour", () => {
  const steps = [0, 3, 6].map(
    (hours) => activityDays('seed', now + hours * 3600).at(-1)?.steps ?? 0,
  )
  assert.deepEqual(
    steps,
    steps.toSorted((a, b) => a - b),
  )
  assert.ok((steps[0] ?? 0) < (steps[2] ?? 0))
})

function isToday(item: unknown): boolean {
  return typeof item === 'object' && item !== null && 'date' in item && item.date === '2026-11-23'
}

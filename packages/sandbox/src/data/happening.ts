/** What a person may do when a test says so, beside the past that follows from the seed. */
export const happeningKinds = ['weight', 'blood_pressure', 'sleep', 'workout', 'ecg'] as const

export type HappeningKind = (typeof happeningKinds)[number]

/** Its numbers follow from the seed and the id. `at` is when it had arrived; epoch seconds. */
export type Happening = {
  readonly id: number
  readonly kind: HappeningKind
  readonly at: number
}

/** One person: what the past follows from, and what happened besides. */
export type Life = {
  readonly seed: string
  readonly happenings: readonly Happening[]
}

/** What `make` gives for every happening of a kind that has arrived by now. */
export function happened<T>(
  { happenings }: Life,
  { kind, now }: { readonly kind: HappeningKind; readonly now: number },
  make: (happening: Happening) => T,
): readonly T[] {
  return happenings.filter((it) => it.kind === kind && it.at <= now).map(make)
}

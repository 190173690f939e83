/** The scopes of the public API. Source: Withings developer guide, "OAuth scopes". */
export const scopes = {
  'user.info': 'See your devices and goals, and link or unlink devices',
  'user.metrics': 'See your weight, body composition, blood pressure and heart recordings',
  'user.activity': 'See your activity, workouts and sleep',
  'user.sleepevents': 'Know when you get into bed and out of it',
} as const

export type Scope = keyof typeof scopes

export function isScope(text: string): text is Scope {
  return Object.hasOwn(scopes, text)
}

/** Reads a comma-separated list. Null when it is empty or names an unknown scope. */
export function parseScopes(text: string): readonly Scope[] | null {
  const names = text.split(',').map((name) => name.trim())
  return names.every(isScope) ? [...new Set(names)] : null
}

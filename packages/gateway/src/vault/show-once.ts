import type { Secret } from '../secret.ts'

/**
 * A secret that was made for the caller of this very request, as text for the one answer that
 * shows it: a new service token, the session of a connect flow. Nothing that was stored passes here.
 */
export const showOnce = (fresh: Secret<string>): string => fresh.reveal()

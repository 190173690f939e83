/** SQLITE_IOERR_FSYNC and SQLITE_IOERR_DIR_FSYNC (sqlite.org/rescode.html). */
const fsyncFailures: ReadonlySet<unknown> = new Set([1034, 1290])

/**
 * Whether an error says that an fsync failed: what was written may be lost, and the next fsync
 * would claim that it is safe (the kernel reports such a failure once).
 */
export const isFsyncFailure = (error: unknown): boolean =>
  error instanceof Error && 'errcode' in error && fsyncFailures.has(error.errcode)

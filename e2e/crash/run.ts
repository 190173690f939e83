/** `npm run test:long` sets it: the loops are then as long as the promises are worth. */
export const isLong = process.env.OKORO_TEST_LONG === '1'

/** Printed with every run; given back in OKORO_TEST_SEED it makes the same choices again. */
export const seed = Number(process.env.OKORO_TEST_SEED ?? Date.now() % 1_000_000)

/** For tests that start processes again and again, on a machine that may have other work. */
export const patient = { timeout: isLong ? 1_800_000 : 240_000 }

/** A whole number from 0 to below `limit`; the same numbers again for the same seed. */
export type Random = (limit: number) => number

/** splitmix32: a seed that is printed when a test fails makes the same choices again. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x9e3779b9) >>> 0
    let mixed = state ^ (state >>> 16)
    mixed = Math.imul(mixed, 0x21f0aaad)
    mixed ^= mixed >>> 15
    mixed = Math.imul(mixed, 0x735a2d97)
    return (mixed ^ (mixed >>> 15)) >>> 0
  }
  return (limit) => Math.floor(((next() * 2 ** 21 + (next() >>> 11)) / 2 ** 53) * limit)
}

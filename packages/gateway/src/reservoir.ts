import type { Random } from './words.ts'

/** Bytes that the system is asked for at once. */
const blockBytes = 65_536

/**
 * The same randomness, fetched from the system by the block: a call needs a dozen small pieces of
 * it, and each question costs more than all of them. A piece is handed out once and is the
 * caller's own; what was handed out is wiped here.
 */
export function createReservoir(random: Random): Random {
  let block = new Uint8Array(0)
  let used = 0
  return (size) => {
    if (size > blockBytes / 16) return random(size)
    if (used + size > block.length) {
      block = Uint8Array.from(random(blockBytes))
      used = 0
    }
    const piece = block.slice(used, used + size)
    block.fill(0, used, used + size)
    used += size
    return piece
  }
}

import { createChance, type Chance as Draws } from '../simulation/world.ts'

/** Chance that can be drawn again: the same seed, the same draws. */
export interface Chance extends Omit<Draws, 'fork'> {
  /** Bytes that do not deflate. */
  bytes(sizeBytes: number): Buffer
}

/** @param seed a whole number, 0 to 2^32 - 1 */
export function chanceOf(seed: number): Chance {
  const draws = createChance(seed)
  return {
    ...draws,
    bytes(sizeBytes) {
      const bytes = Buffer.alloc(sizeBytes + 4)
      for (let at = 0; at < sizeBytes; at += 4) {
        bytes.writeUInt32LE(Math.floor(draws.fraction() * 2 ** 32), at)
      }
      return bytes.subarray(0, sizeBytes)
    },
  }
}

/** The seed of a long test: `SEED` of the environment, else a fresh one. It is printed, for the run to be repeated. */
export function drawSeed(what: string): number {
  const given = Number(process.env.SEED)
  const seed = given > 0 ? given : Math.floor(Math.random() * 2 ** 32)
  console.log(`${what}: SEED=${seed}`)
  return seed
}

/** Real time and real chance: what the program runs on where a simulation has its own. */
import { randomUUID } from 'node:crypto'
import type { Clock, Randomness } from './clock.ts'

const longestTimerMs = 2 ** 31 - 1

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  schedule(delayMs, work) {
    const timer = setTimeout(work, Math.min(Math.max(delayMs, 0), longestTimerMs))
    return () => clearTimeout(timer)
  },
  soon: (work) => void setImmediate(work),
}

export const systemRandomness: Randomness = {
  uuid: () => randomUUID(),
  fraction: () => Math.random(),
}

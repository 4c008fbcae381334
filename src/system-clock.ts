/** Real time and real chance: what the program runs on where a simulation has its own. */
import { randomUUID } from 'node:crypto'
import { uptime } from 'node:os'
import type { Clock, Randomness } from './clock.ts'

const longestTimerMs = 2 ** 31 - 1

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  // CLOCK_BOOTTIME on Linux, by way of /proc/uptime: some 7 µs, and 10 ms from tick to tick.
  bootMs: () => uptime() * 1_000,
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

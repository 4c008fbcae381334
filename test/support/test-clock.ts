import type { Clock } from '../../src/clock.ts'
import { systemClock } from '../../src/system-clock.ts'

export interface TestClock extends Clock {
  /** Lets time pass at once; what was scheduled until then is called. */
  advance(ms: number): void
}

/** Real time, with a hand on it. */
export function createTestClock(): TestClock {
  let offsetMs = 0
  const scheduled = new Set<{ dueMs: number; fire: () => void }>()
  const monotonicMs = () => systemClock.monotonicMs() + offsetMs

  return {
    nowMs: () => systemClock.nowMs() + offsetMs,
    monotonicMs,
    bootMs: monotonicMs,
    soon: systemClock.soon,
    schedule(delayMs, work) {
      const cancel = () => {
        scheduled.delete(timer)
        cancelReal()
      }
      const fire = () => {
        cancel()
        work()
      }
      const timer = { dueMs: monotonicMs() + delayMs, fire }
      scheduled.add(timer)
      const cancelReal = systemClock.schedule(delayMs, fire)
      return cancel
    },
    advance(ms) {
      offsetMs += ms
      const due = [...scheduled].filter(({ dueMs }) => dueMs <= monotonicMs())
      for (const { fire } of due.sort((a, b) => a.dueMs - b.dueMs)) fire()
    },
  }
}

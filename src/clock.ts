/** Time and chance as arguments, so that a simulation can own them. */
export interface Clock {
  /** The wall clock, milliseconds since the epoch; may jump. */
  nowMs(): number
  /** Milliseconds that only grow; stops while the machine is suspended. */
  monotonicMs(): number
  /** Milliseconds since the machine was started, those included in which it was suspended; coarse, and slower to ask. */
  bootMs(): number
  /**
   * Calls `work` once after some time.
   * @param delayMs 0 or more
   * @returns what cancels it; to cancel twice, or too late, does nothing
   */
  schedule(delayMs: number, work: () => void): () => void
  /** Calls `work` once, when what has arrived by now was looked at. */
  soon(work: () => void): void
}

export interface Randomness {
  /** A UUID of version 4. */
  uuid(): string
  /** 0 to below 1. */
  fraction(): number
}

/** Waits. @param delayMs 0 or more */
export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.schedule(delayMs, resolve)
  })
}

/**
 * Waits for work, at most so long; the work itself goes on, others may share it.
 * @param tooLate gives the answer where it took longer, or throws one
 */
export function within<T>(
  clock: Clock,
  limitMs: number,
  work: Promise<T>,
  tooLate: () => T,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.schedule(limitMs, () => {
      try {
        resolve(tooLate())
      } catch (error) {
        reject(error)
      }
    })
    const settle = (then: () => void) => {
      cancel()
      then()
    }
    work.then(
      (value) => settle(() => resolve(value)),
      (error) => settle(() => reject(error)),
    )
  })
}

const pauseFirstMs = 20
const pauseMostMs = 1_000

/**
 * Makes the pauses between attempts: they double from 20 ms to 1 s, half as long to half as long again, so that a store that comes
 * back is not met by everybody at once.
 * @returns what waits for the next of them
 */
export function createPauses(time: { clock: Clock; random: Randomness }): () => Promise<void> {
  let pauseMs = pauseFirstMs
  return async () => {
    await sleep(time.clock, pauseMs * (0.5 + time.random.fraction()))
    pauseMs = Math.min(2 * pauseMs, pauseMostMs)
  }
}

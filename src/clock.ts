/** Time and chance as arguments, so that a simulation can own them. */
export interface Clock {
  /** The wall clock, milliseconds since the epoch; may jump. */
  nowMs(): number
  /** Milliseconds that only grow; stops while the machine is suspended. */
  monotonicMs(): number
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

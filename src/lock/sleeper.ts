/** Waits for a message that may have come already. */
export interface Sleeper {
  /** Whether others want the same. */
  hasRivals: boolean
  reset(): void
  wake(): void
  woken(): Promise<void>
}

/** @returns one that nobody has woken yet */
export function createSleeper(): Sleeper {
  let wake: () => void = () => {}
  let woken = Promise.resolve()
  const sleeper = {
    hasRivals: false,
    reset() {
      sleeper.hasRivals = false
      woken = new Promise((resolve) => {
        wake = resolve
      })
    },
    wake: () => wake(),
    woken: () => woken,
  }
  sleeper.reset()
  return sleeper
}

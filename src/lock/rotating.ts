import type { Lock } from './lock.ts'

/**
 * A lock whose servers' addresses may change while the service runs (a rotated password): once they did, the next `acquire`
 * opens anew, and what was open before is closed. Locks held there are given back or run out.
 * @param options.address what `open` depends on, as it is now
 */
export function createRotatingLock(options: {
  address: () => string
  open: (address: string) => Lock
}): Lock {
  let address = options.address()
  let lock = options.open(address)
  return {
    acquire(name, acquireOptions) {
      const now = options.address()
      if (now !== address) {
        const old = lock
        address = now
        lock = options.open(now)
        void old.close().catch(() => {})
      }
      return lock.acquire(name, acquireOptions)
    },
    close: () => lock.close(),
  }
}

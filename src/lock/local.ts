import type { Lock, LockResult } from './lock.ts'

/** A lock inside this process, first come first served: for one replica, or for a bucket whose writers need no help. */
export function createLocalLock(): Lock {
  /** Those who wait, by name; a name that is present is held. */
  const held = new Map<string, (() => void)[]>()

  function grant(name: string, contended: boolean): LockResult {
    let released = false
    return {
      result: 'held',
      contended,
      async release() {
        if (released) return
        released = true
        const next = held.get(name)?.shift()
        if (next === undefined) held.delete(name)
        else next()
      },
    }
  }

  return {
    acquire(name, { waitMs, signal }) {
      const waiting = held.get(name)
      if (waiting === undefined) {
        held.set(name, [])
        return Promise.resolve(grant(name, false))
      }
      return new Promise((resolve) => {
        const leave = () => {
          waiting.splice(waiting.indexOf(turn), 1)
          settle({ result: 'busy' })
        }
        const turn = () => settle(grant(name, true))
        const settle = (result: LockResult) => {
          clearTimeout(timer)
          signal?.removeEventListener('abort', leave)
          resolve(result)
        }
        const timer = setTimeout(leave, waitMs)
        if (signal?.aborted) return settle({ result: 'busy' })
        signal?.addEventListener('abort', leave)
        waiting.push(turn)
      })
    },
    async close() {},
  }
}

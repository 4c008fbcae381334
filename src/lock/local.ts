import type { Lock, LockResult } from './lock.ts'

/**
 * A lock inside this process: fair, by name. For one replica, where writers of one project already queue; it keeps `Lock`'s
 * promises without any server.
 */
export function createLocalLock(): Lock {
  /** Who waits for each name that is held, in order of arrival. */
  const waiting = new Map<string, Set<() => void>>()

  const release = (name: string) => {
    const queue = waiting.get(name)
    const [next] = queue ?? []
    if (queue === undefined || next === undefined) {
      waiting.delete(name)
      return
    }
    queue.delete(next)
    next()
  }

  const held = (name: string, contended: boolean): LockResult => {
    let released = false
    return {
      result: 'held',
      contended,
      async release() {
        if (!released) release(name)
        released = true
      },
    }
  }

  return {
    acquire(name, { waitMs, signal }) {
      const queue = waiting.get(name)
      if (queue === undefined) {
        waiting.set(name, new Set())
        return Promise.resolve(held(name, false))
      }
      if (waitMs <= 0 || signal?.aborted) return Promise.resolve({ result: 'busy' })
      return new Promise((resolve) => {
        const finish = (result: LockResult) => {
          clearTimeout(timer)
          signal?.removeEventListener('abort', giveUp)
          resolve(result)
        }
        const take = () => finish(held(name, true))
        const giveUp = () => {
          queue.delete(take)
          finish({ result: 'busy' })
        }
        const timer = setTimeout(giveUp, waitMs)
        signal?.addEventListener('abort', giveUp)
        queue.add(take)
      })
    },
    async close() {},
  }
}

/**
 * Bytes that all requests together may hold in memory: bodies from before they are read until they are answered, and answers
 * that are large. Who finds too little waits its turn.
 */
import type { EventEmitter } from 'node:events'
import { ServiceError } from '../errors.ts'

export interface ByteBudget {
  /**
   * Takes bytes from the budget; more than the whole of it counts as the whole.
   * @param sizeBytes 0 or more
   * @param client told of by its event `close`: who went away need not wait; nobody by default
   * @returns what gives them back; to call it twice does nothing
   * @throws overloaded past the waiting time, or where too many wait; client_gone
   */
  take(sizeBytes: number, client?: EventEmitter): Promise<() => void>
  /** Bytes that are taken. */
  readonly takenBytes: number
}

interface Waiter {
  sizeBytes: number
  /** Tries again. */
  admit(): boolean
}

/**
 * Builds a budget. Large takers wait for each other in order, and together get at most three quarters, so that a few slow
 * uploads cannot keep every small write waiting.
 * @param options.waitMs how long one may wait at most
 * @param options.smallBytes up to it a taker is small
 */
export function createByteBudget(options: {
  totalBytes: number
  smallBytes: number
  waitMs: number
  maxWaiters: number
}): ByteBudget {
  const { totalBytes, smallBytes, waitMs, maxWaiters } = options
  const largeBytes = Math.floor(totalBytes * 0.75)
  const small = { waiting: [] as Waiter[], limitBytes: totalBytes }
  const large = { waiting: [] as Waiter[], limitBytes: largeBytes }
  let takenBytes = 0

  const admitWaiting = () => {
    for (const { waiting } of [small, large]) while (waiting[0]?.admit()) waiting.shift()
  }
  const give = (sizeBytes: number) => {
    let given = false
    return () => {
      if (given) return
      given = true
      takenBytes -= sizeBytes
      admitWaiting()
    }
  }

  return {
    get takenBytes() {
      return takenBytes
    },
    take(asked, client) {
      const lane = asked <= smallBytes ? small : large
      const sizeBytes = Math.min(asked, lane.limitBytes)
      const fits = () => takenBytes + sizeBytes <= lane.limitBytes
      if (lane.waiting.length === 0 && fits()) {
        takenBytes += sizeBytes
        return Promise.resolve(give(sizeBytes))
      }
      if (lane.waiting.length >= maxWaiters) return Promise.reject(overloaded())
      return new Promise((resolve, reject) => {
        const leave = (error: ServiceError) => {
          finish()
          lane.waiting.splice(lane.waiting.indexOf(waiter), 1)
          admitWaiting()
          reject(error)
        }
        const gone = () => leave(new ServiceError('client_gone', 'the client went away'))
        const timer = setTimeout(() => leave(overloaded()), waitMs)
        const finish = () => {
          clearTimeout(timer)
          client?.off('close', gone)
        }
        const waiter: Waiter = {
          sizeBytes,
          admit() {
            if (!fits()) return false
            finish()
            takenBytes += sizeBytes
            resolve(give(sizeBytes))
            return true
          },
        }
        client?.once('close', gone)
        lane.waiting.push(waiter)
      })
    },
  }
}

function overloaded(): ServiceError {
  return new ServiceError('overloaded', 'too many large bodies at once; nothing was written')
}

/** Bytes that requests may hold in memory together, handed out in the order in which they are asked for. */
import type { Clock } from '../clock.ts'
import { ServiceError } from '../errors.ts'

export interface Budget {
  /**
   * Waits until so many bytes are free, and takes them.
   * @param sizeBytes more than the whole budget counts as all of it
   * @throws overloaded when they are not free in time
   */
  take(sizeBytes: number, timeoutMs: number): Promise<Share>
}

export interface Share {
  /** Keeps so many bytes of what was taken, and gives back the rest. */
  shrink(sizeBytes: number): void
  /** Gives back all; to do it again does nothing. */
  release(): void
}

interface Waiter {
  sizeBytes: number
  go(): void
}

export function createBudget(totalBytes: number, clock: Clock): Budget {
  let freeBytes = totalBytes
  const waiting: Waiter[] = []

  const give = (sizeBytes: number) => {
    freeBytes += sizeBytes
    for (let next = waiting[0]; next && next.sizeBytes <= freeBytes; next = waiting[0]) {
      waiting.shift()
      freeBytes -= next.sizeBytes
      next.go()
    }
  }

  const wait = (sizeBytes: number, timeoutMs: number) => {
    return new Promise<void>((resolve, reject) => {
      const go = () => {
        cancel()
        resolve()
      }
      const waiter = { sizeBytes, go }
      const cancel = clock.schedule(timeoutMs, () => {
        waiting.splice(waiting.indexOf(waiter), 1)
        give(0)
        reject(new ServiceError('overloaded', 'too many archives are being unpacked'))
      })
      waiting.push(waiter)
    })
  }

  return {
    async take(sizeBytes, timeoutMs) {
      let held = Math.min(sizeBytes, totalBytes)
      if (waiting.length === 0 && held <= freeBytes) freeBytes -= held
      else await wait(held, timeoutMs)
      const shrink = (toBytes: number) => {
        const back = Math.max(0, held - toBytes)
        held -= back
        give(back)
      }
      return { shrink, release: () => shrink(0) }
    },
  }
}

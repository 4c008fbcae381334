/**
 * Shared freshness probes (etcd's ReadIndex): a read may only use a probe that started after the read arrived, so those that arrive
 * during a probe share the next one. A probe that is slow is hedged and no longer keeps the next from starting.
 */
import type { Clock } from '../clock.ts'
import type { Observer } from '../observe.ts'
import { createDeferred, type Deferred } from './deferred.ts'

const probesAtOnce = 3
const hedgeAfterMs = 20
const hedgeAfterTimes = 3

export interface Freshness {
  /** Resolves once a probe that starts after this call has been answered. @throws what the probe throws */
  fresh(): Promise<void>
}

/**
 * @param options.probe asks the store once; `late` resolves when it should ask a second way
 * @param options.waitMs how long a read may wait for its probe to begin, milliseconds
 * @param options.tooLate the error of one that waited longer
 */
export function createFreshness(options: {
  clock: Clock
  observer: Observer
  probe: (late: Promise<void>) => Promise<void>
  waitMs: number
  tooLate: () => Error
}): Freshness {
  const { clock, observer } = options
  let running = 0
  let lateProbes = 0
  let usualMs = 1
  let next: (Deferred<void> & { cancelTimer: () => void }) | null = null

  const mayStart = () => running === lateProbes && running < probesAtOnce

  const start = async (): Promise<void> => {
    const startedMs = clock.monotonicMs()
    const late = createDeferred<void>()
    let isLate = false
    running++
    observer.count('store_probes_total')
    const cancelTimer = clock.schedule(Math.max(hedgeAfterMs, hedgeAfterTimes * usualMs), () => {
      isLate = true
      lateProbes++
      observer.count('store_probe_hedges_total')
      late.resolve()
      startNext()
    })
    try {
      await options.probe(late.promise)
      usualMs += (clock.monotonicMs() - startedMs - usualMs) / 8
    } finally {
      cancelTimer()
      running--
      if (isLate) lateProbes--
      observer.record('probe_seconds', (clock.monotonicMs() - startedMs) / 1000)
      startNext()
    }
  }

  const startNext = () => {
    if (!next || !mayStart()) return
    const waiting = next
    next = null
    waiting.cancelTimer()
    start().then(waiting.resolve, waiting.reject)
  }

  return {
    fresh() {
      if (next) return next.promise
      if (mayStart()) return start()
      const waiting = createDeferred<void>()
      const cancelTimer = clock.schedule(options.waitMs, () => {
        if (next?.promise !== waiting.promise) return
        next = null
        waiting.reject(options.tooLate())
      })
      next = { ...waiting, cancelTimer }
      return waiting.promise
    },
  }
}

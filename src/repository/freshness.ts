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

  const start = (readers: Deferred<void>) => {
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
    const end = (settle: () => void) => {
      cancelTimer()
      running--
      if (isLate) lateProbes--
      observer.record('probe_seconds', (clock.monotonicMs() - startedMs) / 1000)
      // What arrived together with the answer shares the next probe, which is on its way while these readers are answered.
      clock.soon(() => {
        startNext()
        settle()
      })
    }
    options.probe(late.promise).then(
      () => {
        usualMs += (clock.monotonicMs() - startedMs - usualMs) / 8
        end(readers.resolve)
      },
      (error) => end(() => readers.reject(error)),
    )
  }

  const startNext = () => {
    if (!next || !mayStart()) return
    const { cancelTimer, ...readers } = next
    next = null
    cancelTimer()
    start(readers)
  }

  const createNext = () => {
    const waiting = createDeferred<void>()
    const cancelTimer = clock.schedule(options.waitMs, () => {
      if (next?.promise !== waiting.promise) return
      next = null
      waiting.reject(options.tooLate())
    })
    return { ...waiting, cancelTimer }
  }

  return {
    fresh() {
      if (!next) {
        next = createNext()
        // What else arrives in this turn of the event loop shares the probe.
        clock.soon(startNext)
      }
      return next.promise
    },
  }
}

/**
 * Shared freshness probes (etcd's ReadIndex): a read may only use a probe that started after the read arrived, so those that arrive
 * during a probe share the next one. A probe that is slow is hedged and no longer keeps the next from starting. An entry that was
 * created from here is as good as a probe that started with its creation: its slot was empty then.
 */
import type { Clock } from '../clock.ts'
import type { Observer } from '../observe.ts'
import { createDeferred, type Deferred } from './promises.ts'

const probesAtOnce = 3
const hedgeAfterMs = 20
const hedgeAfterTimes = 3
/** Readers that come so long after the first of those who wait together have a time of their own to wait. */
const togetherMs = 1_000

export interface Freshness {
  /** Resolves once the state is known of a moment after this call. @throws what the probe throws */
  fresh(): Promise<void>
  /** Answers whoever came before a moment of the monotonic clock, milliseconds, of which the state is known without a probe. */
  proven(atMs: number): void
  /** Tells that such a moment is near: who comes from now on does not wait together with those before. */
  part(): void
}

/** Readers that came together. */
interface Group extends Deferred<void> {
  /** When the first of them came, milliseconds of the monotonic clock. */
  sinceMs: number
  /** When the last of them came. */
  untilMs: number
  cancelTimer: () => void
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
  /** Who waits for the next probe, those who came first in front. */
  let waiting: Group[] = []
  /** Who is answered by the probes that run; of each probe those who came together. */
  const asking = new Set<readonly Group[]>()
  let isParted = false

  const mayStart = () => running === lateProbes && running < probesAtOnce

  const start = (groups: readonly Group[]) => {
    const startedMs = clock.monotonicMs()
    const late = createDeferred<void>()
    let isLate = false
    running++
    asking.add(groups)
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
      asking.delete(groups)
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
        end(() => {
          for (const { resolve } of groups) resolve()
        })
      },
      (error) =>
        end(() => {
          for (const { reject } of groups) reject(error)
        }),
    )
  }

  const startNext = () => {
    if (waiting.length === 0 || !mayStart()) return
    const groups = waiting
    waiting = []
    for (const { cancelTimer } of groups) cancelTimer()
    start(groups)
  }

  const createGroup = (sinceMs: number): Group => {
    const readers = createDeferred<void>()
    const cancelTimer = clock.schedule(options.waitMs, () => {
      waiting = waiting.filter(({ promise }) => promise !== readers.promise)
      readers.reject(options.tooLate())
    })
    return { ...readers, cancelTimer, sinceMs, untilMs: sinceMs }
  }

  return {
    fresh() {
      const nowMs = clock.monotonicMs()
      const newest = waiting.at(-1)
      if (newest && !isParted && nowMs - newest.sinceMs < togetherMs) {
        newest.untilMs = nowMs
        return newest.promise
      }
      isParted = false
      const group = createGroup(nowMs)
      waiting.push(group)
      // What else arrives in this turn of the event loop shares the probe.
      if (!newest) clock.soon(startNext)
      return group.promise
    },
    proven(atMs) {
      const isBefore = ({ untilMs }: Group) => untilMs < atMs
      for (const group of [...asking].flat().filter(isBefore)) group.resolve()
      for (const group of waiting.filter(isBefore)) {
        group.cancelTimer()
        group.resolve()
      }
      waiting = waiting.filter((group) => !isBefore(group))
    },
    part() {
      isParted = true
    },
  }
}

/** Instants by both clocks of a machine: the monotonic one stands still while it sleeps, the wall clock may be set back. */
import type { Clock } from '../clock.ts'

export interface Moment {
  readonly monotonicMs: number
  readonly wallMs: number
}

/** Now. */
export function momentOf(clock: Clock): Moment {
  return { monotonicMs: clock.monotonicMs(), wallMs: clock.nowMs() }
}

/** Milliseconds since a moment, by whichever clock says more; infinite since null. */
export function ageMsOf(clock: Clock, moment: Moment | null): number {
  if (moment === null) return Number.POSITIVE_INFINITY
  return Math.max(clock.monotonicMs() - moment.monotonicMs, clock.nowMs() - moment.wallMs)
}

/** The later of two moments of one machine. */
export function laterOf(one: Moment | null, other: Moment): Moment {
  return one && one.monotonicMs >= other.monotonicMs ? one : other
}

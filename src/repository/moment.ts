/**
 * Instants by all clocks of a machine, since each has its fault: the monotonic one stands still while the machine is suspended, the
 * one that counts from its start stands still while a hypervisor pauses it, the wall clock may be set back.
 */
import type { Clock } from '../clock.ts'

export interface Moment {
  readonly monotonicMs: number
  readonly bootMs: number
  readonly wallMs: number
}

/** What clocks differ by that go right: they tick in steps of a millisecond, and are slewed. */
const agreeMs = 10

/** Now. */
export function momentOf(clock: Clock): Moment {
  return { monotonicMs: clock.monotonicMs(), bootMs: clock.bootMs(), wallMs: clock.nowMs() }
}

/** Milliseconds since a moment, by whichever clock says most; infinite since null. */
export function ageMsOf(clock: Clock, moment: Moment | null): number {
  if (moment === null) return Number.POSITIVE_INFINITY
  const awakeMs = clock.monotonicMs() - moment.monotonicMs
  const wallMs = clock.nowMs() - moment.wallMs
  // Each stale read asks for its age, and the third clock takes some 7 µs to tell.
  if (Math.abs(wallMs - awakeMs) < agreeMs) return Math.max(awakeMs, wallMs)
  return Math.max(awakeMs, wallMs, clock.bootMs() - moment.bootMs)
}

/** The later of two moments of one machine. */
export function laterOf(one: Moment | null, other: Moment): Moment {
  return one && one.monotonicMs >= other.monotonicMs ? one : other
}

/** What a run consists of: scenarios, each of which measures one or more rows and their baselines by turns. */
import type { Place } from './place.ts'
import type { RowName, Sample } from './rows.ts'

/** How much is done for one run. */
export interface Effort {
  /** Length of one measured stretch of load, whole seconds. */
  sliceSeconds: number
  warmUpSeconds: number
  /** Stretches of each kind, by turns. */
  rounds: number
  /** Requests whose time is measured one by one. */
  samples: number
  /** Starts of a process. */
  starts: number
  /** Of a long log. */
  entries: number
  /** Projects that are read in turn. */
  projects: number
  /** Projects that lie there while nobody asks for them, but for a few. */
  bystanders: number
}

export interface Scenario {
  rows: readonly RowName[]
  /** @param place a fresh one each time, so that no run is lucky in how its processes came up */
  run(place: Place, effort: Effort): Promise<Partial<Record<RowName, Sample>>>
}

/** The mean of some numbers. */
export function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length
}

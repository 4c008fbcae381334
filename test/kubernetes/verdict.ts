/** What became of a scenario, in a line each, and of all of them together. */
import type { Outcome } from '../gate/keptn-clients.ts'
import type { Report } from '../gate/report.ts'

export interface Verdict {
  scenario: string
  report: Report
  /** What a kill explains, under way in the pod or sent to it when it was dead already; and what said that it was stale. */
  excused: { underWay: number; afterwards: number; stale: number }
  failed: number
  lost: number
  /** From a pod's creation until it was ready, seconds. */
  untilReady: number[]
  /** Resident memory of the replicas in the end, MiB. */
  memory: number[]
  /** What Keptn's clients went through, where they ran. */
  outcomes: Outcome[]
  seconds: number
}

/** A line for people. */
export function describe(verdict: Verdict): string {
  const { scenario, report, failed, lost, untilReady, memory, outcomes, seconds } = verdict
  const { underWay, afterwards, stale } = verdict.excused
  const excused = underWay + afterwards
  const parts = [
    `${report.requests} requests`,
    `${failed} failed`,
    ...(excused > 0 ? [`${underWay} + ${afterwards} with the pods that were killed`] : []),
    ...(stale > 0 ? [`${stale} stale, as they say, while the bucket was away`] : []),
    `${lost} lost`,
    `${report.replacements} pods drained`,
    ...(outcomes.length > 0 ? [`${tallied(outcomes)} of Keptn's clients`] : []),
    ...(untilReady.length > 0 ? [`ready after ${span(untilReady)} s`] : []),
    ...(memory.length > 0 ? [`${span(memory)} MiB`] : []),
    `${seconds.toFixed(0)} s`,
  ]
  const colour = report.failures.length === 0 ? 'GREEN' : 'RED  '
  return `${colour} ${scenario.padEnd(16)} ${parts.join(', ')}`
}

/** All of it, with the bound that no failure among so many requests proves (rule of three). */
export function sumUp(verdicts: readonly Verdict[]): string[] {
  const sum = (count: (verdict: Verdict) => number) =>
    verdicts.reduce((total, verdict) => total + count(verdict), 0)
  const calm = verdicts.filter(({ excused }) => excused.underWay + excused.afterwards === 0)
  const counted = calm.reduce((total, { report }) => total + report.requests, 0)
  const failed = sum((verdict) => verdict.failed)
  const untilReady = verdicts.flatMap((verdict) => verdict.untilReady)
  const memory = verdicts.flatMap((verdict) => verdict.memory)
  return [
    ...verdicts.map(describe),
    `${sum(({ report }) => report.requests)} requests, ${failed} failed, ${sum(({ lost }) => lost)} lost, ${sum(({ report }) => report.replacements)} pods drained`,
    ...(failed === 0 && counted > 0
      ? [
          `none failed of ${counted} where no pod was killed: fewer than ${(300 / counted).toFixed(4)} % do (95 %)`,
        ]
      : []),
    ...(untilReady.length > 0
      ? [
          `pods were ready ${span(untilReady)} s after their creation, half of them after ${median(untilReady)} s`,
        ]
      : []),
    ...(memory.length > 0
      ? [
          `replicas took ${span(memory)} MiB in the end of scenarios, half of them ${median(memory)} MiB`,
        ]
      : []),
  ]
}

function tallied(outcomes: readonly Outcome[]): string {
  const sum = (count: (outcome: Outcome) => number) =>
    outcomes.reduce((total, outcome) => total + count(outcome), 0)
  return `${sum(({ sequences }) => sequences)} sequences and ${sum(({ pinsRead }) => pinsRead)} pinned reads`
}

function span(numbers: readonly number[]): string {
  const [least, most] = [Math.min(...numbers), Math.max(...numbers)]
  return least === most ? `${least}` : `${least} to ${most}`
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor((numbers.length - 1) / 2)] ?? Number.NaN
}

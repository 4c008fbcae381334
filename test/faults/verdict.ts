/** What came of one kind of fault, and whether every promise was kept. */
import type { Kind } from '../long/chaos-clients.ts'
import type { Finding, Journal } from '../long/journal.ts'
import type { Recovery } from './recovery.ts'

/** After a fault has ended a fresh request is answered well within so long, milliseconds. */
export const mustMs = 2_000
export const aimMs = 500

export interface Row {
  kind: string
  title: string
  faults: number
  /** Sent by clients, each attempt of a retry for itself. */
  requests: number
  acknowledged: number
  lost: number
  doubled: number
  stale: number
  /** The longest time from a client's first request to a good answer, milliseconds. */
  outageMs: number
  /** The longest time in which no client was answered well, milliseconds. */
  outageOfAllMs: number
  /** From the fault's end to the first good answer, the worst of all rounds, milliseconds; null for never. */
  recoveryMs: Record<Kind, number | null>
  /** The same until every replica by itself was well; told and not judged, as clients do not choose theirs. */
  everywhereMs: number | null
  /** How often what was answered. */
  answers: Record<string, number>
  /** Every broken promise in a sentence; empty for green. */
  failures: string[]
}

/** What a run of one kind left. */
export interface Seen {
  kind: string
  title: string
  faults: number
  journal: Journal
  findings: readonly Finding[]
  outages: { ofOneMs: number; ofAllMs: number }
  /** Of each round; infinite for never. */
  recoveries: readonly Pick<Recovery, 'times' | 'everywhereMs'>[]
}

/** What clients count when they give a keyed write up, after everything was well again for long. */
const givenUp = 'keyed write given up'

export function judge(seen: Seen): Row {
  const { kind, title, faults, journal, findings, outages, recoveries } = seen
  const count = (of: Finding['kind']) => findings.filter((one) => one.kind === of).length
  const worst = (of: Kind) => Math.max(0, ...recoveries.map(({ times }) => times[of]))
  const recovery = {
    read: worst('read'),
    write: worst('write'),
    'keyed write': worst('keyed write'),
  }
  const unanswered = journal.counts.get(givenUp) ?? 0
  const answers = [...journal.counts].filter(([what]) => what !== givenUp)
  return {
    kind,
    title,
    faults,
    requests: answers.reduce((sum, [, times]) => sum + times, 0),
    acknowledged: journal.writes.filter(({ commit }) => commit !== undefined).length,
    lost: count('lost'),
    doubled: count('doubled'),
    stale: count('stale'),
    outageMs: Math.round(outages.ofOneMs),
    outageOfAllMs: Math.round(outages.ofAllMs),
    recoveryMs: {
      read: rounded(recovery.read),
      write: rounded(recovery.write),
      'keyed write': rounded(recovery['keyed write']),
    },
    everywhereMs: rounded(Math.max(0, ...recoveries.map(({ everywhereMs }) => everywhereMs))),
    answers: Object.fromEntries(answers),
    failures: [
      ...findings.map((finding) => `${finding.kind}: ${finding.text}`),
      ...journal.violations.map((text) => `answer: ${text}`),
      ...(unanswered > 0 ? [`answer: ${unanswered} keyed writes were never answered`] : []),
      ...Object.entries(recovery).flatMap(([what, ms]) => tooLate(what, ms)),
      ...(journal.reads.length === 0 ? ['load: nothing was read'] : []),
      ...(journal.writes.some(({ commit }) => commit) ? [] : ['load: nothing was acknowledged']),
    ],
  }
}

/** JSON has no infinity. */
function rounded(ms: number): number | null {
  return Number.isFinite(ms) ? Math.round(ms) : null
}

function tooLate(what: string, ms: number): string[] {
  if (ms <= mustMs) return []
  const when = Number.isFinite(ms) ? `${Math.round(ms)} ms after a fault` : 'never again'
  return [`recovery: a ${what} was answered well ${when}, must ${mustMs} ms`]
}

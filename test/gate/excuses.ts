/**
 * Failures that a scenario itself brings about, such as what was under way at a replica that it kills: they are told apart from
 * the others, each with its reason, and never more of them than the scenario can explain.
 */
import type { LedgerLine } from './ledger.ts'

export interface Excuse {
  /** For people. */
  why: string
  /** Of requests that were under way at some time between the two, by the machine's clock, milliseconds. */
  fromMs: number
  untilMs: number
  /** How they may have failed. */
  failure: RegExp
  /** No more than so many. */
  most?: number
  /** A replica that was killed: connections that it refused are excused as well. */
  port?: number
}

export interface Judged {
  /** Failures that nothing excuses. */
  failures: LedgerLine[]
  /** What nginx and the Service complain about beyond what is excused. */
  complaints: string[]
  refused: string[]
  excused: { why: string; lines: LedgerLine[] }[]
}

/** @param seen.startedAtMs when the load began, by the machine's clock */
export function judge(
  excuses: readonly Excuse[],
  seen: {
    failures: readonly LedgerLine[]
    complaints: readonly string[]
    refused: readonly string[]
    startedAtMs: number
  },
): Judged {
  const judged: Judged = {
    failures: [...seen.failures],
    complaints: [...seen.complaints],
    refused: [...seen.refused],
    excused: [],
  }
  for (const { why, fromMs, untilMs, failure, most = Number.POSITIVE_INFINITY, port } of excuses) {
    const lines: LedgerLine[] = []
    judged.failures = judged.failures.filter((line) => {
      const sentAtMs = seen.startedAtMs + line.sentMs
      const wasUnderWay = sentAtMs <= untilMs && sentAtMs + line.tookMs >= fromMs
      const isExcused = wasUnderWay && failure.test(line.failure ?? '') && lines.length < most
      if (isExcused) lines.push(line)
      return !isExcused
    })
    for (const line of lines) takeComplaints(judged.complaints, line)
    if (port !== undefined) {
      judged.refused = judged.refused.filter((message) => !message.endsWith(`:${port}`))
    }
    judged.excused.push({ why, lines })
  }
  return judged
}

/** How many failures one reason excuses. */
export function countExcused({ excused }: Judged, reason: string): number {
  return excused.reduce((sum, { why, lines }) => sum + (why === reason ? lines.length : 0), 0)
}

const methods = { post: 'POST', long: 'POST', get: 'GET', put: 'PUT', delete: 'DELETE' } as const

/** Takes out what nginx says of one failed request: a line of its access log, and what its error log adds. */
function takeComplaints(complaints: string[], { kind, project }: LedgerLine): void {
  // Slow uploads do not pass through it.
  if (kind === 'slow') return
  const uri = `${methods[kind]} /api/resource-service/v1/project/${project}/`
  const take = (isIt: (complaint: string) => boolean) => {
    const at = complaints.findIndex(isIt)
    if (at >= 0) complaints.splice(at, 1)
  }
  take((complaint) => complaint.includes(` ${uri}`))
  take((complaint) => complaint.includes(`request: "${uri}`))
}

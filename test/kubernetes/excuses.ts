/** Failures that nobody can prevent: what was under way in a pod that was killed, and what came before Kubernetes knew. */
import type { Ledger, LedgerLine } from '../gate/ledger.ts'

/** How long after a kill the Service may still lead to the pod: the kubelet has to see it, then kube-proxy. */
const unknownMs = 5_000
/** A connection that ended or that nobody took, as a client sees it, and as nginx tells it; never an answer of the service. */
const isOfConnection = /ECONNRESET|ECONNREFUSED|EPIPE|hang up|ended before it was whole|^502 </

export interface Excused {
  /** The ledger without them. */
  ledger: Ledger
  /** Under way when a pod was killed. */
  underWay: number
  /** Sent afterwards, to a pod that was dead already. */
  afterwards: number
}

/**
 * Takes out of a ledger what the kills explain.
 * @param startedAt when the load began, as `Date.now()` says
 * @param kills when pods were killed, likewise
 */
export function excuse(ledger: Ledger, startedAt: number, kills: readonly number[]): Excused {
  const atMs = kills.map((kill) => kill - startedAt)
  const isUnderWay = ({ sentMs, tookMs }: LedgerLine) =>
    atMs.some((kill) => sentMs <= kill && kill <= sentMs + tookMs)
  const isAfterwards = ({ sentMs }: LedgerLine) =>
    atMs.some((kill) => kill <= sentMs && sentMs <= kill + unknownMs)
  const ofConnection = ledger.failures.filter(({ failure = '' }) => isOfConnection.test(failure))
  const underWay = ofConnection.filter(isUnderWay)
  const afterwards = ofConnection.filter((line) => !isUnderWay(line) && isAfterwards(line))
  const excused = new Set([...underWay, ...afterwards])
  return {
    ledger: {
      ...ledger,
      failures: ledger.failures.filter((line) => !excused.has(line)),
      files: withoutUncertain(ledger, excused),
    },
    underWay: underWay.length,
    afterwards: afterwards.length,
  }
}

/** A write that failed may have been committed: what its file holds is known again once another write was acknowledged. */
function withoutUncertain(ledger: Ledger, excused: ReadonlySet<LedgerLine>): Ledger['files'] {
  const files = new Map([...ledger.files].map(([project, held]) => [project, new Map(held)]))
  const last = new Map<string, LedgerLine>()
  for (const line of ledger.lines) {
    if (line.kind !== 'get') last.set(`${line.project}/${line.file}`, line)
  }
  for (const line of last.values()) {
    if (excused.has(line)) files.get(line.project)?.delete(line.file)
  }
  return files
}

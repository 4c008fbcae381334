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
 * @param startedAtMs when the load began, by the machine's clock
 * @param kills when pods were killed, likewise
 */
export function excuse(ledger: Ledger, startedAtMs: number, kills: readonly number[]): Excused {
  const atMs = kills.map((kill) => kill - startedAtMs)
  const isUnderWay = ({ sentMs, tookMs }: LedgerLine) =>
    atMs.some((kill) => sentMs <= kill && kill <= sentMs + tookMs)
  const isAfterwards = ({ sentMs }: LedgerLine) =>
    atMs.some((kill) => kill <= sentMs && sentMs <= kill + unknownMs)
  const ofConnection = ledger.failures.filter(({ failure = '' }) => isOfConnection.test(failure))
  const underWay = ofConnection.filter(isUnderWay)
  const afterwards = ofConnection.filter((line) => !isUnderWay(line) && isAfterwards(line))
  const excused = new Set([...underWay, ...afterwards])
  return {
    ledger: { ...ledger, failures: ledger.failures.filter((line) => !excused.has(line)) },
    underWay: underWay.length,
    afterwards: afterwards.length,
  }
}

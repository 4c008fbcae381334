/**
 * Failures that nobody can prevent: what was under way in a pod that was killed, and what came before Kubernetes knew. And what is
 * promised as it is: an answer that says it is stale, while the bucket is away.
 */
import type { Excuse } from '../gate/excuses.ts'

/** How long after a kill the Service may still lead to the pod: the kubelet has to see it, then kube-proxy. */
const unknownMs = 5_000
/** A connection that ended or that nobody took, as a client sees it, and as nginx tells it; never an answer of the service. */
const failure = /ECONNRESET|ECONNREFUSED|EPIPE|hang up|ended before it was whole|^502 /

export const underWay = 'under way when a pod was killed'
export const afterwards = 'sent to a pod that was dead already'
export const stale = 'stale, as it says, while the bucket was away'

/** By the machine's clock, milliseconds. */
export interface Span {
  fromMs: number
  untilMs: number
}

/**
 * What kills and a bucket that is away explain; what is under way comes first, since it is both.
 * @param kills when, by the machine's clock, milliseconds
 */
export function excusesOf(kills: readonly number[], away: readonly Span[]): Excuse[] {
  return [
    ...away.map((span) => ({ why: stale, ...span, failure: /^stale, and says so$/ })),
    ...kills.map((kill) => ({ why: underWay, fromMs: kill, untilMs: kill, failure })),
    ...kills.map((kill) => ({
      why: afterwards,
      fromMs: kill,
      untilMs: kill + unknownMs,
      failure,
    })),
  ]
}

/** Who keeps the cluster from a format. */
import type { Announced, ClusterTimes } from './announcement.ts'
import { canHandle, inWords } from './formats.ts'
import type { ClusterState } from './state.ts'

/** Whether a process is heard from. `gone`: not for so long that it blocks nobody. */
export type Liveness = 'live' | 'silent' | 'forgotten' | 'gone'

/** @param announced one that did not leave; one that is heard from cannot be forgotten */
export function livenessOf(
  announced: Announced,
  { forgotten }: Pick<ClusterState, 'forgotten'>,
  times: ClusterTimes,
): Liveness {
  if (announced.ageMs < times.validMs) return 'live'
  if (forgotten.has(announced.replicaId)) return 'forgotten'
  return announced.ageMs < times.blocksMs ? 'silent' : 'gone'
}

export interface Blocker {
  replicaId: string
  /** For people: what it cannot do, and what would help. */
  reason: string
  /** It is about to leave. */
  draining: boolean
}

/** Replicas that cannot handle a format and may still serve. */
export function blockersOf(
  format: number,
  announced: readonly Announced[],
  at: { state: ClusterState; times: ClusterTimes },
): Blocker[] {
  return announced.flatMap((one) => {
    if (one.role !== 'replica' || canHandle(one, format)) return []
    const liveness = livenessOf(one, at.state, at.times)
    if (liveness === 'gone' || liveness === 'forgotten') return []
    const seconds = Math.round(one.ageMs / 1_000)
    const silent = `; not heard from for ${seconds} s: if it is gone for good, add --forget ${one.replicaId}`
    const reason =
      `build ${one.build} reads ${inWords(one.reads)} and writes ${inWords(one.writes)}` +
      (liveness === 'silent' ? silent : '')
    return [{ replicaId: one.replicaId, reason, draining: one.draining && liveness === 'live' }]
  })
}

/** Processes that are heard from and do not know the log up to an entry yet. */
export function unawareOf(
  seq: number,
  announced: readonly Announced[],
  at: { state: ClusterState; times: ClusterTimes },
): string[] {
  return announced
    .filter((one) => one.clusterSeq < seq && livenessOf(one, at.state, at.times) === 'live')
    .map(({ replicaId }) => replicaId)
}

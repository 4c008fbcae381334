/** Reads the cluster log back. */
import { fromCopy, type Problem } from '../repository/damage.ts'
import { sha256 } from '../repository/entry.ts'
import { fetchWhole, listAll } from '../repository/environment.ts'
import type { Store } from '../store/store.ts'
import {
  ClusterLogError,
  clusterLogKey,
  clusterLogPrefix,
  decodeClusterEntry,
} from './decisions.ts'

/** Verifies the cluster's decisions up to the first that is not as it has to be. @throws StoreError */
export async function verifyClusterLog(
  store: Store,
): Promise<{ entries: number; problems: Problem[] }> {
  let previous: string | null = null
  let entries = 0
  for await (const { key } of listAll(store, clusterLogPrefix)) {
    const seq = entries + 1
    const object = clusterLogKey(seq)
    const broken = (problem: string) => ({
      entries,
      problems: [{ object, problem, remedy: fromCopy }],
    })
    if (key !== object) return broken('is absent, though a later one is there')
    const bytes = await fetchWhole(store, key)
    if (bytes === null) return broken('is absent')
    try {
      if (decodeClusterEntry(seq, bytes).previous !== previous) {
        return broken('does not follow the one before it')
      }
    } catch (error) {
      if (!(error instanceof ClusterLogError)) throw error
      return broken(error.problem)
    }
    previous = sha256(bytes)
    entries = seq
  }
  return { entries, problems: [] }
}

/** What a deleted project was: the log still tells. */
import { decodeEntry, EntryError } from './entry.ts'
import { type Environment, mapParallel, storeTimeoutMs } from './environment.ts'
import type { ProjectKeys } from './keys.ts'
import { exists, type Snapshot, snapshotOf } from './snapshot.ts'
import { LogViolation } from './witness.ts'

/** Behind a deletion stand only answers that are kept for their keys: a project is not looked for behind more of them. */
const maxLooked = 2_000
const fetchAtOnce = 8

/**
 * Finds the newest state of a log in which the project was there, each entry checked against the one behind it.
 * @param snapshot the state to go back from
 * @returns null where it never was, or has been away for too long
 * @throws StoreError, and what shows that the log is damaged: LogViolation, EntryError
 */
export async function findLastExisting(
  { environment: { store }, keys }: { environment: Environment; keys: ProjectKeys },
  snapshot: Snapshot,
): Promise<Snapshot | null> {
  let { seq, hash } = snapshot
  const last = Math.max(0, seq - maxLooked)
  while (seq > last) {
    const seqs = Array.from({ length: Math.min(fetchAtOnce, seq - last) }, (_, back) => seq - back)
    const fetched = await mapParallel(seqs, fetchAtOnce, (one) =>
      store.get(keys.entry(one), { timeoutMs: storeTimeoutMs }),
    )
    for (const object of fetched) {
      if (object === null || object === 'not-modified') {
        throw new LogViolation(`entry ${seq} is absent, though a later one is there`)
      }
      const entry = decodeEntry(seq, object.body)
      if (entry.hash !== hash) throw new EntryError(`entry ${seq} is not the one that was followed`)
      const state = snapshotOf(entry)
      if (exists(state)) return state
      hash = entry.transaction.previous
      seq--
    }
  }
  return null
}

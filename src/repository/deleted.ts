/** What a deleted project was: the log still tells. */
import type { StoredObject } from '../store/store.ts'
import { decodeEntry, EntryError } from './entry.ts'
import { mapParallel } from './environment.ts'
import { exists, type Snapshot, snapshotOf } from './snapshot.ts'

/** Behind a deletion stand only answers that are kept for their keys: a project is not looked for behind more of them. */
const maxLooked = 2_000
const fetchAtOnce = 8

/**
 * Finds the newest state of a log in which the project was there, each entry checked against the one behind it.
 * @param fetchEntry of a sequence that was applied
 * @param snapshot the state to go back from
 * @returns null where it never was, or has been away for too long
 * @throws EntryError where an entry is not the one that was applied, and what `fetchEntry` throws
 */
export async function findLastExisting(
  fetchEntry: (seq: number) => Promise<StoredObject>,
  snapshot: Snapshot,
): Promise<Snapshot | null> {
  let { seq, hash } = snapshot
  const last = Math.max(0, seq - maxLooked)
  while (seq > last) {
    const seqs = Array.from({ length: Math.min(fetchAtOnce, seq - last) }, (_, back) => seq - back)
    for (const { body } of await mapParallel(seqs, fetchAtOnce, fetchEntry)) {
      const entry = decodeEntry(seq, body)
      if (entry.hash !== hash) {
        throw new EntryError(`entry ${seq} is not the one that was followed`, seq)
      }
      const state = snapshotOf(entry)
      if (exists(state)) return state
      hash = entry.transaction.previous
      seq--
    }
  }
  return null
}

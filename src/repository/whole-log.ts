/** A log from its first entry to its newest, for who wants all of it once. */
import { type Store, StoreError } from '../store/store.ts'
import { decodeEntry, type Entry, EntryError } from './entry.ts'
import { listAll, mapParallel, storeTimeoutMs } from './environment.ts'
import type { ProjectKeys } from './keys.ts'
import { emptySnapshot, follow } from './snapshot.ts'

const fetchAtOnce = 16
const triesMost = 5

/**
 * Reads entries in their order, each checked against the one before; the last is the newest when it was listed.
 * @throws EntryError where the log is not whole, StoreError
 */
export async function* readEntries(place: {
  store: Store
  keys: ProjectKeys
}): AsyncGenerator<{ entry: Entry; total: number }> {
  const { keys } = place
  const total = await findLast(place)
  let snapshot = emptySnapshot
  while (snapshot.seq < total) {
    const count = Math.min(4 * fetchAtOnce, total - snapshot.seq)
    const seqs = Array.from({ length: count }, (_, at) => snapshot.seq + 1 + at)
    const bodies = await mapParallel(seqs, fetchAtOnce, (seq) => fetch(place.store, keys, seq))
    for (const [at, body] of bodies.entries()) {
      const entry = decodeEntry(seqs[at] as number, body)
      snapshot = follow(snapshot, entry)
      yield { entry, total }
    }
  }
}

/** The sequence of the newest entry; 0 for an empty log. */
async function findLast({ store, keys }: { store: Store; keys: ProjectKeys }): Promise<number> {
  let last = 0
  for await (const { key } of listAll(store, keys.logPrefix)) {
    last = Math.max(last, keys.parseEntry(key) ?? 0)
  }
  return last
}

async function fetch(store: Store, keys: ProjectKeys, seq: number): Promise<Buffer> {
  for (let tries = 1; ; tries++) {
    try {
      const object = await store.get(keys.entry(seq), { timeoutMs: storeTimeoutMs })
      if (object !== null && object !== 'not-modified') return object.body
      throw new EntryError(`entry ${seq} is absent, though a later one is there`, seq)
    } catch (error) {
      if (!(error instanceof StoreError) || tries === triesMost) throw error
    }
  }
}

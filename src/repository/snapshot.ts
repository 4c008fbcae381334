/** The state of a project after an entry, and the one rule that leads from entry to entry. */
import type { Oid } from '../git/objects.ts'
import { parseRfc3339 } from '../git/time.ts'
import { type Entry, EntryError, type EntryKind } from './entry.ts'

/** What a log says after its newest applied entry; never changed, only replaced. */
export interface Snapshot {
  /** 0 for an empty log. */
  readonly seq: number
  /** sha256 of the whole newest entry, hex; null for an empty log. */
  readonly hash: string | null
  /** Of the newest entry; null for an empty log. */
  readonly kind: EntryKind | null
  /** Every ref but the transaction's. */
  readonly refs: ReadonlyMap<string, Oid>
  readonly format: number
  readonly minReader: number
  readonly minWriter: number
  readonly incarnation: number
  readonly defaultBranch: string
  readonly atMs: number
}

export const emptySnapshot: Snapshot = {
  seq: 0,
  hash: null,
  kind: null,
  refs: new Map(),
  format: 0,
  minReader: 0,
  minWriter: 0,
  incarnation: 0,
  defaultBranch: '',
  atMs: 0,
}

/** Whether the project exists: its default branch does. */
export function exists(snapshot: Snapshot): boolean {
  return snapshot.refs.has(`refs/heads/${snapshot.defaultBranch}`)
}

/**
 * Applies the next entry of a log.
 * @throws EntryError where it does not follow: another sequence, another predecessor
 */
export function follow(snapshot: Snapshot, entry: Entry): Snapshot {
  const { transaction } = entry
  if (entry.seq !== snapshot.seq + 1) {
    throw new EntryError(`entry ${entry.seq} does not follow entry ${snapshot.seq}`, entry.seq)
  }
  if (transaction.previous !== snapshot.hash) {
    const sentence = `entry ${entry.seq} names another predecessor than entry ${snapshot.seq}`
    throw new EntryError(sentence, entry.seq)
  }
  const after = snapshotOf(entry)
  return Number.isNaN(after.atMs) ? { ...after, atMs: snapshot.atMs } : after
}

/** The state after an entry: it names everything that makes it, and its predecessor only by hash. */
export function snapshotOf(entry: Entry): Snapshot {
  const { transaction } = entry
  return {
    seq: entry.seq,
    hash: entry.hash,
    kind: transaction.kind,
    refs: entry.refs,
    format: transaction.format,
    minReader: transaction.minReader,
    minWriter: transaction.minWriter,
    incarnation: transaction.incarnation,
    defaultBranch: transaction.defaultBranch,
    atMs: parseRfc3339(transaction.at) ?? Number.NaN,
  }
}

/**
 * A segment: some consecutive entries of one incarnation, rolled into one pack. Where a segment ends is a function of the log
 * alone, and so are its bytes: every replica rolls the same packs by itself, and whoever writes a checkpoint uploads what the
 * others have already.
 */
import type { Oid } from '../git/objects.ts'
import { encodePack } from '../git/pack.ts'
import { indexEncodedPack } from '../git/pack-index.ts'
import { type Entry, type EntryObject, sha256 } from './entry.ts'
import { type KeyedOutcome, keyedOutcomes } from './outcomes.ts'

export const segmentMaxEntries = 64
export const segmentMaxBytes = 4 * 1024 * 1024

/** What a checkpoint says of a segment. */
export interface SegmentInfo {
  from: number
  to: number
  incarnation: number
  /** Of the pack; also its name. */
  sha256: string
  sizeBytes: number
  indexSha256: string
  /** How many keyed outcomes its entries hold, and the sha256 of their list; both absent for none. */
  outcomes?: { count: number; sha256: string }
}

/** What a checkpoint says of a pack that an entry spilled. */
export interface SpilledInfo {
  name: string
  bytes: number
  sha256: string
  indexSha256?: string
  /** The entry that names it. */
  seq: number
  incarnation: number
}

export interface Segment {
  info: SegmentInfo
  pack: Buffer
  index: Buffer
  outcomes: Buffer
}

/** Tells whether a segment that holds these entries is full. */
export function isFull(entries: readonly Entry[]): boolean {
  const last = entries.at(-1)
  if (!last) return false
  if (last.seq % segmentMaxEntries === 0) return true
  let bytes = 0
  for (const entry of entries) bytes += entry.bytes.length
  return bytes >= segmentMaxBytes
}

/** Rolls entries into a segment. Spilled packs stay where they are. */
export function rollSegment(entries: readonly Entry[]): Segment {
  const objects = new Map<Oid, EntryObject>()
  for (const entry of entries) {
    for (const object of entry.objects)
      if (!objects.has(object.oid)) objects.set(object.oid, object)
  }
  const pack = encodePack([...objects.values()])
  const index = indexEncodedPack([...objects.values()], pack)
  const keyed = entries.flatMap(keyedOutcomes)
  const outcomes = encodeOutcomes(keyed)
  return {
    info: {
      from: (entries[0] as Entry).seq,
      to: (entries.at(-1) as Entry).seq,
      incarnation: (entries[0] as Entry).transaction.incarnation,
      sha256: sha256(pack),
      sizeBytes: pack.length,
      indexSha256: sha256(index),
      ...(keyed.length > 0 && { outcomes: { count: keyed.length, sha256: sha256(outcomes) } }),
    },
    pack,
    index,
    outcomes,
  }
}

function encodeOutcomes(outcomes: readonly KeyedOutcome[]): Buffer {
  return Buffer.from(outcomes.map((outcome) => `${JSON.stringify(outcome)}\n`).join(''), 'utf8')
}

/** Reads a segment's list of keyed outcomes back. @returns null where the bytes are not those that `hash` names */
export function decodeOutcomes(bytes: Buffer, hash: string): KeyedOutcome[] | null {
  if (sha256(bytes) !== hash) return null
  return bytes
    .toString('utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as KeyedOutcome)
}

/**
 * A segment: some consecutive entries of one incarnation, rolled into one pack; later, a few segments joined into one. Where a
 * segment ends is a function of the log alone, and so are its bytes: every replica makes the same packs by itself, and whoever
 * writes a checkpoint uploads what the others have already.
 */
import type { Oid } from '../git/objects.ts'
import { encodePack } from '../git/pack.ts'
import { indexEncodedPack, joinPacks, parseIndex } from '../git/pack-index.ts'
import { type Entry, type EntryObject, sha256 } from './entry.ts'
import { type KeyedOutcome, keyedOutcomes, keyedOutcomesKept } from './outcomes.ts'

export const segmentMaxEntries = 64
export const segmentMaxBytes = 4 * 1024 * 1024
/** So many segments of about one length are joined into one, so that a long log has few packs and each byte is copied seldom. */
const joinedAtOnce = 4
/** No pack grows larger than this by joining: parts and whole are in memory at the same time. */
const joinedMaxBytes = 4 * 1024 * 1024

/** What a checkpoint says of a segment. */
export interface SegmentInfo {
  from: number
  to: number
  incarnation: number
  /** Of the pack; also its name. */
  sha256: string
  sizeBytes: number
  indexSha256: string
  /** How many keyed outcomes its entries hold, the last that are state at the most, and the sha256 of their list; both absent for none. */
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

/** A segment that lies somewhere. */
export interface KeptSegment {
  readonly info: SegmentInfo
  /** All of it, checked. @throws Error where the log no longer gives the same */
  whole(): Promise<Segment>
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
  const span = {
    from: (entries[0] as Entry).seq,
    to: (entries.at(-1) as Entry).seq,
    incarnation: (entries[0] as Entry).transaction.incarnation,
  }
  return segmentOf(span, { pack, index, keyed: entries.flatMap(keyedOutcomes) })
}

/** Whether segments, in the order of the log, hold every entry up to one: what failed to be rolled is missing for good. */
export function coverAll(segments: readonly SegmentInfo[], lastSeq: number): boolean {
  let seq = 0
  for (const { from, to } of segments) {
    if (from !== seq + 1) return false
    seq = to
  }
  return seq === lastSeq
}

/**
 * Finds what is to be joined next, a function of the list alone: the first segments of one incarnation, of about one length and
 * side by side.
 * @param segments in the order of the log
 * @returns the place of the first of them, and how many they are; null where there are none
 */
export function findJoinable(
  segments: readonly SegmentInfo[],
): { at: number; count: number } | null {
  for (let at = 0; at + joinedAtOnce <= segments.length; at++) {
    const some = segments.slice(at, at + joinedAtOnce)
    const [first] = some as [SegmentInfo]
    const isAlike = some.every(
      (info) => info.incarnation === first.incarnation && levelOf(info) === levelOf(first),
    )
    const bytes = some.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    if (isAlike && bytes <= joinedMaxBytes) return { at, count: joinedAtOnce }
  }
  return null
}

function levelOf({ from, to }: SegmentInfo): number {
  const lengths = Math.max(1, (to - from + 1) / segmentMaxEntries)
  return Math.floor(Math.log2(lengths) / Math.log2(joinedAtOnce))
}

/** Joins segments that lie side by side: the same as all their entries rolled into one. */
export function joinSegments(parts: readonly Segment[]): Segment {
  const { pack, index } = joinPacks(
    parts.map(({ info, pack, index }) => ({ pack, index: parseIndex(index, info.sizeBytes) })),
  )
  const [first, last] = [parts[0] as Segment, parts.at(-1) as Segment]
  const { from, incarnation } = first.info
  const keyed = parts.flatMap(({ outcomes }) => parseOutcomes(outcomes))
  return segmentOf({ from, to: last.info.to, incarnation }, { pack, index, keyed })
}

function segmentOf(
  span: Pick<SegmentInfo, 'from' | 'to' | 'incarnation'>,
  { pack, index, keyed }: { pack: Buffer; index: Buffer; keyed: readonly KeyedOutcome[] },
): Segment {
  const outcomes = encodeOutcomes(keyed.slice(-keyedOutcomesKept))
  const count = Math.min(keyed.length, keyedOutcomesKept)
  const info = {
    ...span,
    sha256: sha256(pack),
    sizeBytes: pack.length,
    indexSha256: sha256(index),
    ...(count > 0 && { outcomes: { count, sha256: sha256(outcomes) } }),
  }
  return { info, pack, index, outcomes }
}

function encodeOutcomes(outcomes: readonly KeyedOutcome[]): Buffer {
  return Buffer.from(outcomes.map((outcome) => `${JSON.stringify(outcome)}\n`).join(''), 'utf8')
}

/** Reads a segment's list of keyed outcomes back. @returns null where the bytes are not those that `hash` names */
export function decodeOutcomes(bytes: Buffer, hash: string): KeyedOutcome[] | null {
  return sha256(bytes) === hash ? parseOutcomes(bytes) : null
}

function parseOutcomes(bytes: Buffer): KeyedOutcome[] {
  return bytes
    .toString('utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as KeyedOutcome)
}

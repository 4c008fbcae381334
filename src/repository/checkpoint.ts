/**
 * Checkpoints: what a replica that starts need not read the log for. They are made by the writer whose entry ends a segment, are
 * only believed where they match the log, and can be deleted at any time.
 */

import type { ListedObject } from '../store/store.ts'
import { damaged, fromCopy, orWithout } from './damage.ts'
import { decodeEntry, type Entry, EntryError, sha256 } from './entry.ts'
import { type Environment, fetchWhole, mapParallel, storeTimeoutMs } from './environment.ts'
import type { ProjectKeys } from './keys.ts'
import { type KeyedOutcome, keyedOutcomes, keyedOutcomesKept } from './outcomes.ts'
import {
  decodeOutcomes,
  joinSegments,
  type KeptSegment,
  rollSegment,
  type Segment,
  type SegmentInfo,
  type SpilledInfo,
  segmentMaxEntries,
} from './segment.ts'
import { type Snapshot, snapshotOf } from './snapshot.ts'
import { LogViolation } from './witness.ts'

const version = 0
/** The newest checkpoints, which are never deleted. */
const keptAlways = 2
/** A start lists all that are kept, and a busy project makes some forty a minute. */
const keptSupersededMs = 60 * 60 * 1000

/** What a checkpoint restores. */
export interface Checkpoint {
  snapshot: Snapshot
  segments: SegmentInfo[]
  spilled: SpilledInfo[]
}

/** A checkpoint before its segments are in the bucket. */
export interface NewCheckpoint extends Omit<Checkpoint, 'segments'> {
  segments: readonly KeptSegment[]
}

export interface CheckpointFile {
  version: number
  storeId: string
  seq: number
  entryHash: string
  packs: SegmentInfo[]
  spilled: SpilledInfo[]
}

/** What it takes to read them. */
export interface ReadingPlace {
  /** A `storeId` of null: checkpoints of any store are believed. */
  environment: Pick<Environment, 'store'> & { storeId: string | null }
  keys: ProjectKeys
}

interface Place extends ReadingPlace {
  environment: Environment
}

/**
 * Finds the newest checkpoint that matches the log.
 * @returns null where there is none
 * @throws LogViolation where the log lost the entry that one was made behind
 */
export async function findCheckpoint(place: ReadingPlace): Promise<Checkpoint | null> {
  const { keys } = place
  const listed = await listCheckpoints(place)
  for (const { key } of listed.objects.reverse()) {
    const seq = keys.parseCheckpoint(key) as number
    const [file, entry] = await Promise.all([
      readCheckpoint(place, key),
      fetchWhole(place.environment.store, keys.entry(seq)),
    ])
    if (file?.seq !== seq) continue
    // It was made behind its entry, and a slot once taken is never absent again.
    if (!entry) throw new LogViolation(`entry ${seq} is absent, though a checkpoint knows it`, seq)
    if (sha256(entry) !== file.entryHash) continue
    // The refs are those of the entry, whose hash was just checked: nothing else is believed.
    const snapshot = snapshotOf(decodeEntry(file.seq, entry))
    return { snapshot, segments: file.packs, spilled: file.spilled }
  }
  return null
}

export interface CheckpointWriter {
  /** Says that these segments lie in the bucket already. */
  known(segments: readonly SegmentInfo[]): void
  /** Writes a checkpoint after an entry that ended a segment. */
  write(checkpoint: NewCheckpoint): Promise<void>
}

/** Makes what uploads a project's segments and writes its checkpoints. */
export function createCheckpointWriter(place: Place): CheckpointWriter {
  const { environment, keys } = place
  const { store, random } = environment
  const uploaded = new Set<string>()

  const upload = async (segment: Segment) => {
    await putSegment(place, segment)
    uploaded.add(segment.info.sha256)
  }

  /** The index is uploaded last, so where it lies the rest lies too. */
  const isUploaded = async (info: SegmentInfo) => {
    if (uploaded.has(info.sha256)) return true
    const range = { start: 0, end: 0 }
    const options = { timeoutMs: storeTimeoutMs, range }
    const found = await store.get(keys.checkpointIndex(info.sha256), options)
    if (found !== null) uploaded.add(info.sha256)
    return found !== null
  }

  /** What a checkpoint names and its successor does not was joined since, and is asked for by nobody who starts now. */
  const prune = async () => {
    const { objects, dateMs } = await listCheckpoints(place)
    for (const [at, { key }] of objects.entries()) {
      const successor = objects[at + 1]
      const isKept = at >= objects.length - keptAlways
      if (isKept || !successor || dateMs - successor.lastModifiedMs <= keptSupersededMs) continue
      const after = await readCheckpoint(place, successor.key)
      const still = new Set(after?.packs.map(({ sha256 }) => sha256))
      const before = after && (await readCheckpoint(place, key))
      for (const info of before?.packs ?? []) if (!still.has(info.sha256)) await remove(info)
      await deleteKey(key)
    }
  }

  const remove = async (info: SegmentInfo) => {
    uploaded.delete(info.sha256)
    await deleteKey(keys.checkpointIndex(info.sha256))
    await deleteKey(keys.checkpointPack(info.sha256))
    if (info.outcomes) await deleteKey(keys.checkpointOutcomes(info.outcomes.sha256))
  }

  const deleteKey = (key: string) => store.delete(key, { timeoutMs: storeTimeoutMs })

  return {
    known(segments) {
      for (const { sha256 } of segments) uploaded.add(sha256)
    },
    async write({ snapshot, segments, spilled }) {
      for (const { info, whole } of segments) {
        if (!(await isUploaded(info))) await upload(await whole())
      }
      const { seq, hash } = snapshot
      const file: CheckpointFile = {
        version,
        storeId: environment.storeId,
        seq,
        entryHash: hash as string,
        packs: segments.map(({ info }) => info),
        spilled,
      }
      await put(place, keys.checkpoint(seq, random.uuid()), encodeCheckpoint(file))
      await prune()
    },
  }
}

/** Puts a segment beside the checkpoints. */
export async function putSegment(place: ReadingPlace, segment: Segment): Promise<void> {
  const { info, pack, index, outcomes } = segment
  const { keys } = place
  if (info.outcomes) await put(place, keys.checkpointOutcomes(info.outcomes.sha256), outcomes)
  await put(place, keys.checkpointPack(info.sha256), pack)
  await put(place, keys.checkpointIndex(info.sha256), index)
}

async function put({ environment }: ReadingPlace, key: string, body: Buffer): Promise<void> {
  await environment.store.put(key, body, { timeoutMs: 4 * storeTimeoutMs })
}

/** Reads the keyed outcomes of segments, as many as are state, oldest first. */
export async function loadOutcomes(
  place: ReadingPlace,
  segments: readonly SegmentInfo[],
): Promise<KeyedOutcome[]> {
  const wanted: SegmentInfo[] = []
  let count = 0
  for (const info of [...segments].reverse()) {
    if (count >= keyedOutcomesKept) break
    if (!info.outcomes) continue
    wanted.unshift(info)
    count += info.outcomes.count
  }
  const lists = await mapParallel(wanted, 16, async (info) => {
    const hash = info.outcomes?.sha256 as string
    const bytes = await fetchWhole(place.environment.store, place.keys.checkpointOutcomes(hash))
    const list = bytes && decodeOutcomes(bytes, hash)
    if (list) return list
    const made: KeyedOutcome[] = []
    for await (const entries of fetchEntries(place, info)) {
      made.push(...entries.flatMap(keyedOutcomes))
    }
    return made
  })
  return lists.flat()
}

/**
 * Makes a segment again from the log, a few entries at a time: it may be one of thousands.
 * @throws project_stopped where the log no longer gives the same
 */
export async function remakeSegment(place: ReadingPlace, info: SegmentInfo): Promise<Segment> {
  const parts: Segment[] = []
  for await (const entries of fetchEntries(place, info)) parts.push(rollSegment(entries))
  const segment = joinSegments(parts)
  if (segment.info.sha256 !== info.sha256) {
    throw damaged({
      object: place.keys.checkpointPack(info.sha256),
      problem: `entries ${info.from} to ${info.to} are not what they were, and give another`,
      remedy: `verify tells which entry is damaged: ${fromCopy}`,
    })
  }
  return segment
}

async function* fetchEntries(place: ReadingPlace, info: SegmentInfo): AsyncGenerator<Entry[]> {
  for (let from = info.from; from <= info.to; from += segmentMaxEntries) {
    const count = Math.min(segmentMaxEntries, info.to - from + 1)
    const seqs = Array.from({ length: count }, (_, at) => from + at)
    yield await mapParallel(seqs, 16, async (seq) => {
      const object = place.keys.entry(seq)
      const bytes = await fetchWhole(place.environment.store, object)
      if (!bytes) throw damaged({ object, problem: 'is absent', remedy: orWithout })
      try {
        return decodeEntry(seq, bytes)
      } catch (error) {
        if (!(error instanceof EntryError)) throw error
        throw damaged({ object, problem: error.message, remedy: orWithout })
      }
    })
  }
}

/** Checkpoints, oldest first; a busy project has more than a page of those that are not old enough to go. */
export async function listCheckpoints({ environment, keys }: ReadingPlace) {
  const { checkpointPrefix: prefix } = keys
  const found: ListedObject[] = []
  for (let startAfter = ''; ; ) {
    const page = await environment.store.list({
      prefix,
      delimiter: '/',
      ...(startAfter !== '' && { startAfter }),
      timeoutMs: storeTimeoutMs,
    })
    found.push(...page.objects.filter(({ key }) => keys.parseCheckpoint(key) !== null))
    if (page.next === null) return { objects: found, dateMs: page.dateMs }
    startAfter = page.next
  }
}

/** @returns null for one that is absent, damaged, or of another bucket */
export async function readCheckpoint(
  place: ReadingPlace,
  key: string,
): Promise<CheckpointFile | null> {
  return parseCheckpoint(await fetchWhole(place.environment.store, key), place.environment.storeId)
}

/** One line of JSON and one with its sha256, so that a damaged checkpoint is passed over. */
function encodeCheckpoint(file: CheckpointFile): Buffer {
  const line = JSON.stringify(file)
  return Buffer.from(`${line}\n${sha256(Buffer.from(line))}\n`)
}

function parseCheckpoint(bytes: Buffer | null, storeId: string | null): CheckpointFile | null {
  const [line, hash] = bytes?.toString('utf8').split('\n') ?? []
  if (line === undefined || sha256(Buffer.from(line)) !== hash) return null
  const file = JSON.parse(line) as CheckpointFile
  const isOwn = storeId === null || file.storeId === storeId
  return file.version === version && isOwn ? file : null
}

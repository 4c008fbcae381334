/**
 * Checkpoints: what a replica that starts need not read the log for. They are made by the writer whose entry ends a segment, are
 * only believed where they match the log, and can be deleted at any time.
 */
import { decodeEntry, type Entry, sha256 } from './entry.ts'
import { type Environment, mapParallel, storeTimeoutMs } from './environment.ts'
import type { ProjectKeys } from './keys.ts'
import { type KeyedOutcome, keyedOutcomes, keyedOutcomesKept } from './outcomes.ts'
import {
  decodeOutcomes,
  rollSegment,
  type Segment,
  type SegmentInfo,
  type SpilledInfo,
} from './segment.ts'
import { type Snapshot, snapshotOf } from './snapshot.ts'

const version = 0
/** The newest checkpoints, which are never deleted. */
const keptAlways = 2
const keptSupersededMs = 24 * 60 * 60 * 1000

/** What a checkpoint restores. */
export interface Checkpoint {
  snapshot: Snapshot
  segments: SegmentInfo[]
  spilled: SpilledInfo[]
}

interface CheckpointFile {
  version: number
  storeId: string
  seq: number
  entryHash: string
  packs: SegmentInfo[]
  spilled: SpilledInfo[]
}

interface Place {
  environment: Environment
  keys: ProjectKeys
}

/**
 * Finds the newest checkpoint that matches the log.
 * @returns null where there is none
 */
export async function findCheckpoint(place: Place): Promise<Checkpoint | null> {
  const { keys } = place
  const listed = await listCheckpoints(place)
  for (const { key } of listed.objects.reverse()) {
    const file = parseCheckpoint(await fetch(place, key), place.environment.storeId)
    if (!file || file.seq !== keys.parseCheckpoint(key)) continue
    const entry = await fetch(place, keys.entry(file.seq))
    if (!entry || sha256(entry) !== file.entryHash) continue
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
  write(checkpoint: Checkpoint, rolled: Segment): Promise<void>
}

/** Makes what uploads a project's segments and writes its checkpoints. */
export function createCheckpointWriter(place: Place): CheckpointWriter {
  const { environment, keys } = place
  const { store, random } = environment
  const uploaded = new Set<string>()

  const upload = async (segment: Segment) => {
    const { info } = segment
    if (info.outcomes) {
      await put(keys.checkpointOutcomes(info.outcomes.sha256), segment.outcomes)
    }
    await put(keys.checkpointPack(info.sha256), segment.pack)
    await put(keys.checkpointIndex(info.sha256), segment.index)
    uploaded.add(info.sha256)
  }

  const put = (key: string, body: Buffer) => store.put(key, body, { timeoutMs: 4 * storeTimeoutMs })

  /** The index is uploaded last, so where it lies the rest lies too. */
  const isUploaded = async (info: SegmentInfo) => {
    if (uploaded.has(info.sha256)) return true
    const range = { start: 0, end: 0 }
    const options = { timeoutMs: storeTimeoutMs, range }
    const found = await store.get(keys.checkpointIndex(info.sha256), options)
    if (found !== null) uploaded.add(info.sha256)
    return found !== null
  }

  const prune = async () => {
    const { objects, dateMs } = await listCheckpoints(place)
    const old = objects.filter((_, at) => {
      const successor = objects[at + 1]
      const isKept = at >= objects.length - keptAlways
      return !isKept && successor && dateMs - successor.lastModifiedMs > keptSupersededMs
    })
    for (const { key } of old) await store.delete(key, { timeoutMs: storeTimeoutMs })
  }

  return {
    known(segments) {
      for (const { sha256 } of segments) uploaded.add(sha256)
    },
    async write(checkpoint, rolled) {
      await upload(rolled)
      for (const info of checkpoint.segments) {
        if (!(await isUploaded(info))) await upload(await remakeSegment(place, info))
      }
      const { seq, hash } = checkpoint.snapshot
      const file: CheckpointFile = {
        version,
        storeId: environment.storeId,
        seq,
        entryHash: hash as string,
        packs: checkpoint.segments,
        spilled: checkpoint.spilled,
      }
      await put(keys.checkpoint(seq, random.uuid()), encodeCheckpoint(file))
      await prune()
    },
  }
}

/** Reads the keyed outcomes of segments, as many as are state, oldest first. */
export async function loadOutcomes(
  place: Place,
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
    const bytes = await fetch(place, place.keys.checkpointOutcomes(hash))
    const list = bytes && decodeOutcomes(bytes, hash)
    return list ?? (await fetchEntries(place, info)).flatMap(keyedOutcomes)
  })
  return lists.flat()
}

/** Makes a segment again from the log. @throws Error where the log no longer gives the same */
export async function remakeSegment(place: Place, info: SegmentInfo): Promise<Segment> {
  const segment = rollSegment(await fetchEntries(place, info))
  if (segment.info.sha256 !== info.sha256) {
    throw new Error(`entries ${info.from} to ${info.to} are not what they were`)
  }
  return segment
}

function fetchEntries(place: Place, info: SegmentInfo): Promise<Entry[]> {
  const seqs = Array.from({ length: info.to - info.from + 1 }, (_, at) => info.from + at)
  return mapParallel(seqs, 16, async (seq) => {
    const bytes = await fetch(place, place.keys.entry(seq))
    if (!bytes) throw new Error(`entry ${seq} is gone`)
    return decodeEntry(seq, bytes)
  })
}

/** Checkpoints, oldest first. */
async function listCheckpoints({ environment, keys }: Place) {
  const options = { prefix: keys.checkpointPrefix, delimiter: '/' as const }
  const page = await environment.store.list({ ...options, timeoutMs: storeTimeoutMs })
  const objects = page.objects.filter(({ key }) => keys.parseCheckpoint(key) !== null)
  return { objects, dateMs: page.dateMs }
}

/** One line of JSON and one with its sha256, so that a damaged checkpoint is passed over. */
function encodeCheckpoint(file: CheckpointFile): Buffer {
  const line = JSON.stringify(file)
  return Buffer.from(`${line}\n${sha256(Buffer.from(line))}\n`)
}

function parseCheckpoint(bytes: Buffer | null, storeId: string): CheckpointFile | null {
  const [line, hash] = bytes?.toString('utf8').split('\n') ?? []
  if (line === undefined || sha256(Buffer.from(line)) !== hash) return null
  const file = JSON.parse(line) as CheckpointFile
  return file.version === version && file.storeId === storeId ? file : null
}

async function fetch({ environment }: Place, key: string): Promise<Buffer | null> {
  const object = await environment.store.get(key, { timeoutMs: storeTimeoutMs })
  return object === null || object === 'not-modified' ? null : object.body
}

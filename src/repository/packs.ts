/**
 * Where the objects of older entries lie: in packs, each read from the nearest place that has it. An object is checked against its
 * name whenever it is read, so a damaged copy is only a reason to ask the next place.
 */
import { isServiceError } from '../errors.ts'
import type { GitObject, Oid } from '../git/objects.ts'
import { indexPack, type PackIndex, parseIndex, readPacked } from '../git/pack-index.ts'
import { StoreError } from '../store/store.ts'
import type { ProjectCache } from './cache.ts'
import { remakeSegment } from './checkpoint.ts'
import { damaged, unreadable } from './damage.ts'
import { type EntryObject, type SpilledPack, sha256, sha256Aside } from './entry.ts'
import { type Environment, fetchWhole, storeTimeoutMs } from './environment.ts'
import type { ProjectKeys } from './keys.ts'
import { single } from './promises.ts'
import type { KeptSegment, Segment, SegmentInfo } from './segment.ts'

/** A pack of one incarnation of a project. */
export interface Pack {
  readonly incarnation: number
  /** Whether its index is in memory. */
  readonly isLoaded: boolean
  /** Whether its index is loaded and names the object. */
  knows(oid: Oid): boolean
  /** Whether something of it could not be read here: what is written again must not be left out for it. */
  readonly isDamaged: boolean
  /** Whether it holds the object; loads the index. */
  holds(oid: Oid): Promise<boolean>
  /** @returns the object, or null where the pack does not hold it */
  read(oid: Oid): Promise<GitObject | null>
}

/** A pack as its writer holds it. */
export interface SpilledContent {
  pack: Buffer
  index: Buffer
  objects: readonly EntryObject[]
}

export interface SegmentPack extends Pack, KeptSegment {
  /** What its index takes in memory, bytes; 0 until it is loaded. */
  readonly indexBytes: number
}

export interface PackPlace {
  environment: Environment
  keys: ProjectKeys
  cache: ProjectCache | null
  /** Told of an index that is in memory from now on, and how large it is. */
  indexLoaded: (bytes: number, index: PackIndex) => void
}

type ReadRange = (start: number, end: number) => Promise<Buffer>

/** Packs up to this size are fetched whole when they are first needed; larger ones by ranges. */
const wholePackBytes = 16 * 1024 * 1024

/**
 * A segment's pack: in the cache folder, else beside the checkpoints, else made again from the log.
 * @param rolled the segment itself, where this process has just rolled it
 */
export function openSegment(place: PackPlace, info: SegmentInfo, rolled?: Segment): SegmentPack {
  const { keys, cache } = place
  const packName = `pack-${info.sha256}.pack`
  let held: Segment | undefined = rolled
  let index: PackIndex | null = null
  let indexBytes = 0

  const keep = async (segment: Segment) => {
    await cache?.write(packName, segment.pack)
    await cache?.write(indexNameOf(info.sha256), segment.index)
    if (held === segment) held = undefined
  }
  if (rolled) void keep(rolled)

  const remake = single(async () => {
    const segment = await remakeSegment(place, info)
    held = segment
    void keep(segment)
    return segment
  })

  const loadIndex = single(async (): Promise<PackIndex> => {
    const bytes = held?.index ?? (await findIndex(place, info)) ?? (await remake()).index
    index = parseIndex(bytes, info.sizeBytes)
    indexBytes = bytes.length
    place.indexLoaded(indexBytes, index)
    return index
  })

  /** The pack as it lies beside the checkpoints; null where that is another, or none. */
  const fetchPack = async (): Promise<Buffer | null> => {
    const bytes = await fetchWhole(place.environment.store, keys.checkpointPack(info.sha256))
    return bytes && sha256(bytes) === info.sha256 ? bytes : null
  }
  const fetchBehind = single(async () => {
    const bytes = await fetchPack()
    if (bytes) await cache?.write(packName, bytes)
  })

  const findWhole = async (): Promise<Segment | null> => {
    const near = await cache?.read(packName)
    const pack = near && sha256(near) === info.sha256 ? near : await fetchPack()
    const foundIndex = pack && (await findIndex(place, info))
    if (!pack || !foundIndex) return null
    const outcomes = info.outcomes
      ? await fetchWhole(place.environment.store, keys.checkpointOutcomes(info.outcomes.sha256))
      : Buffer.alloc(0)
    if (!outcomes || (info.outcomes && sha256(outcomes) !== info.outcomes.sha256)) return null
    return { info, pack, index: foundIndex, outcomes }
  }

  const fromMemory: ReadRange = async (start, end) => {
    if (!held) throw new Error('not in memory')
    return held.pack.subarray(start, end)
  }
  const fromCache: ReadRange = async (start, end) => {
    const bytes = await cache?.readRange(packName, start, end)
    if (!bytes) throw new Error('not in the cache folder')
    return bytes
  }
  const fromStore: ReadRange = async (start, end) => {
    const bytes = await fetchRange(place, keys.checkpointPack(info.sha256), start, end)
    if (!bytes) throw new Error('not beside the checkpoints')
    if (cache && info.sizeBytes <= wholePackBytes) void fetchBehind().catch(() => {})
    return bytes
  }
  const fromLog: ReadRange = async (start, end) => (await remake()).pack.subarray(start, end)

  return {
    info,
    incarnation: info.incarnation,
    get isLoaded() {
      return index !== null
    },
    // The log gives it again.
    isDamaged: false,
    get indexBytes() {
      return indexBytes
    },
    whole: async () => held ?? (await findWhole()) ?? remake(),
    knows: (oid) => index?.find(oid) != null,
    holds: async (oid) => (index ?? (await loadIndex())).find(oid) !== null,
    async read(oid) {
      const loaded = index ?? (await loadIndex())
      if (!loaded.find(oid)) return null
      for (const read of [fromMemory, fromCache, fromStore]) {
        try {
          return await readPacked(oid, loaded, read)
        } catch {
          // Absent or damaged there: the next place decides.
        }
      }
      return readPacked(oid, loaded, fromLog)
    },
  }
}

/**
 * A pack that an entry spilled: permanent, so it lies in the bucket for ever.
 * @param written the pack itself, where this process has just written it
 */
export function openSpilledPack(
  place: PackPlace,
  info: SpilledPack,
  incarnation: number,
  written?: SpilledContent,
): Pack {
  const { keys, cache } = place
  const name = `pack-${info.sha256}.pack`
  let index: PackIndex | null = null
  let isDamaged = false
  /** The pack until the cache folder has it. */
  let held: Buffer | undefined

  const useIndex = (bytes: Buffer, packBytes: number) => {
    index = parseIndex(bytes, packBytes)
    place.indexLoaded(bytes.length, index)
    return index
  }
  const keep = (pack: Buffer) => {
    held = pack
    void Promise.resolve(cache?.write(name, pack)).then(() => {
      held = undefined
    })
  }
  if (written) {
    useIndex(written.index, written.pack.length)
    keep(written.pack)
  }

  const fetch = async (): Promise<Buffer> => {
    const near = held ?? (await cache?.read(name)) ?? null
    if (near && (await sha256Aside(near)) === info.sha256) return near
    const far = await fetchWhole(place.environment.store, keys.spilledPack(info.name))
    if (!far) throw damage('is absent')
    if ((await sha256Aside(far)) !== info.sha256) throw damage(notAsSaid)
    return far
  }

  const damage = (problem: string) => {
    isDamaged = true
    return damaged({ object: keys.spilledPack(info.name), problem, remedy: unreadable })
  }

  const loadIndex = single(async (): Promise<PackIndex> => {
    const found = await findIndex(place, info)
    if (found !== null) return useIndex(found, info.bytes)
    const pack = await fetch()
    const made = useIndex(await indexPack(pack), pack.length)
    keep(pack)
    return made
  })

  const near: ReadRange = async (start, end) => {
    if (held) return held.subarray(start, end)
    const part = await cache?.readRange(name, start, end)
    if (!part) throw new Error('not in the cache folder')
    return part
  }
  const fetchBehind = single(async () => void (await cache?.write(name, await fetch())))

  const far: ReadRange = async (start, end) => {
    const part = await fetchRange(place, keys.spilledPack(info.name), start, end)
    if (!part) throw damage('is absent')
    if (cache && info.bytes <= wholePackBytes) void fetchBehind().catch(() => {})
    return part
  }

  const readFar = async (oid: Oid, own: PackIndex): Promise<GitObject> => {
    try {
      return await readPacked(oid, own, far)
    } catch (error) {
      const isCutOff = error instanceof StoreError && error.reason === 'InvalidRange'
      if (isServiceError(error) || (error instanceof StoreError && !isCutOff)) throw error
      throw damage(notAsSaid)
    }
  }

  return {
    incarnation,
    get isLoaded() {
      return index !== null
    },
    get isDamaged() {
      return isDamaged
    },
    knows: (oid) => index?.find(oid) != null,
    holds: async (oid) => (index ?? (await loadIndex())).find(oid) !== null,
    async read(oid) {
      const own = index ?? (await loadIndex())
      if (!own.find(oid)) return null
      return readPacked(oid, own, near).catch(() => readFar(oid, own))
    },
  }
}

const notAsSaid = 'is not what its entry says'

const indexNameOf = (packSha256: string) => `pack-${packSha256}.idx`

/** The index of a pack: in the cache folder, else beside the checkpoints. @returns null where neither has the one that is meant */
async function findIndex(
  place: PackPlace,
  { sha256: packSha256, indexSha256 }: { sha256: string; indexSha256?: string },
): Promise<Buffer | null> {
  if (indexSha256 === undefined) return null
  const { keys, cache } = place
  const name = indexNameOf(packSha256)
  const near = await cache?.read(name)
  if (near && sha256(near) === indexSha256) return near
  const far = await fetchWhole(place.environment.store, keys.checkpointIndex(packSha256))
  if (far === null || sha256(far) !== indexSha256) return null
  void cache?.write(name, far)
  return far
}

async function fetchRange(
  place: PackPlace,
  key: string,
  start: number,
  end: number,
): Promise<Buffer | null> {
  const range = { start, end: end - 1 }
  const object = await place.environment.store.get(key, { timeoutMs: storeTimeoutMs, range })
  return object === null || object === 'not-modified' ? null : object.body
}

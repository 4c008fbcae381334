/**
 * Every object of one project: in memory, in the newest entries, in the packs of older ones. "Known" here means known to lie in
 * an applied entry or in a pack that one names, never in a cache or an attempt: a writer leaves out only what is known.
 */
import type { Commit, GitObject, Oid, Tree } from '../git/objects.ts'
import type { Entry, EntryObject } from './entry.ts'
import { type CachedObject, commitOf, treeOf } from './object-cache.ts'
import { openSegment, openSpilledPack, type Pack, type PackPlace, single } from './packs.ts'
import { isFull, rollSegment, type Segment, type SegmentInfo, type SpilledInfo } from './segment.ts'

/** Indexes that are asked for one object at the same time. */
const indexesAtOnce = 8

export interface Objects {
  /** Takes in the next entry of the log, with the packs that its writer has at hand. */
  add(entry: Entry, spilled?: ReadonlyMap<string, SpilledContent>): void
  /** Begins from a checkpoint instead of from entry 1. */
  restore(segments: readonly SegmentInfo[], spilled: readonly SpilledInfo[]): void
  readTree(oid: Oid): Promise<Tree>
  readCommit(oid: Oid): Promise<Commit>
  readBlob(oid: Oid): Promise<Buffer>
  /** Whether the object is known to lie in the log; false also where that would take a look. */
  knows(oid: Oid): boolean
  /** Whether an entry of this incarnation brought the commit. */
  hasCommit(oid: Oid, incarnation: number): Promise<boolean>
  /** The segments and spilled packs up to now; the newest entries are in none yet. */
  readonly segments: readonly SegmentInfo[]
  readonly spilled: readonly SpilledInfo[]
  /** Forgets everything. */
  clear(): void
}

/** A pack as its writer holds it. */
export interface SpilledContent {
  pack: Buffer
  objects: readonly EntryObject[]
}

/**
 * @param place.id tells this project's objects from others' in the shared memory
 * @param onSegment told of each segment that was rolled here, and of its last entry
 */
export function createObjects(
  place: PackPlace & { id: number },
  onSegment: (segment: Segment, last: Entry) => void,
): Objects {
  const { environment } = place
  const memory = environment.objects
  /** Entries that no segment holds yet, and their objects. */
  let tail: Entry[] = []
  let recent = new Map<Oid, { object: EntryObject; incarnation: number }>()
  /** Packs of segments, and those that entries spilled, each oldest first. */
  let rolledPacks: Pack[] = []
  let spilledPacks: Pack[] = []
  let segments: SegmentInfo[] = []
  let spilled: SpilledInfo[] = []
  let rolling: Promise<void> = Promise.resolve()
  let generation = 0

  const memoryKey = (oid: Oid) => `${place.id}.${generation}.${oid}`

  /** Rolls entries away; they stay readable where they are until their pack is. */
  const roll = (entries: Entry[]) => {
    const before = generation
    rolling = rolling.then(() => {
      const segment = rollSegment(entries)
      if (before !== generation) return
      segments.push(segment.info)
      rolledPacks.push(openSegment(place, segment.info, segment))
      for (const entry of entries) {
        for (const object of entry.objects) {
          if (recent.get(object.oid)?.object === object) recent.delete(object.oid)
        }
      }
      onSegment(segment, entries.at(-1) as Entry)
    })
    rolling = rolling.catch((error) => {
      environment.observer.log('error', 'background_failed', { work: 'roll a segment', error })
    })
  }

  const remember = (object: EntryObject) => {
    // With what was read out of it while it was made.
    const { type, content, tree, commit }: CachedObject = object
    memory.set(memoryKey(object.oid), { type, content, tree, commit })
  }

  const find = async (oid: Oid): Promise<CachedObject> => {
    const key = memoryKey(oid)
    const cached = memory.get(key)
    if (cached) {
      environment.observer.count('cache_requests_total', { cache: 'objects', result: 'hit' })
      return cached
    }
    const found = recent.get(oid)?.object ?? (await findInPacks(oid))
    if (!found) throw new Error(`object ${oid} is in no entry of the log`)
    const object: CachedObject = { type: found.type, content: found.content }
    memory.set(key, object)
    environment.observer.count('cache_requests_total', { cache: 'objects', result: 'miss' })
    return object
  }

  const findInPacks = async (oid: Oid): Promise<GitObject | null> => {
    const knowing = findKnowing(oid)
    if (knowing) return knowing.read(oid)
    await isInPacks(oid)
    // A segment may have been rolled while the indexes were read.
    return findKnowing(oid)?.read(oid) ?? recent.get(oid)?.object ?? null
  }

  const findKnowing = (oid: Oid): Pack | undefined =>
    rolledPacks.find((pack) => pack.knows(oid)) ?? spilledPacks.find((pack) => pack.knows(oid))

  /**
   * Segments have whole indexes. A pack that an entry spilled is fetched and inflated to know what it holds, which mostly is the
   * content of one large file; there may be as many as there were uploads.
   */
  const isInPacks = async (oid: Oid, isWanted = (_: Pack) => true): Promise<boolean> => {
    if (await holdsAny(rolledPacks.filter(isWanted), oid)) return true
    return holdsAny(spilledPacks.filter(isWanted), oid)
  }

  /** What is asked for was mostly written lately, so the indexes of older packs are left alone for as long as may be. */
  const holdsAny = async (candidates: readonly Pack[], oid: Oid): Promise<boolean> => {
    const newestFirst = [...candidates].reverse()
    for (let at = 0; at < newestFirst.length; at += indexesAtOnce) {
      const some = newestFirst.slice(at, at + indexesAtOnce)
      if ((await Promise.all(some.map((pack) => pack.holds(oid)))).includes(true)) return true
    }
    return false
  }

  const waitForPack = single(() => rolling)

  return {
    add(entry, contents) {
      const { incarnation } = entry.transaction
      const first = tail[0]
      if (first && first.transaction.incarnation !== incarnation) roll(tail.splice(0))
      tail.push(entry)
      for (const object of entry.objects) {
        recent.set(object.oid, { object, incarnation })
        remember(object)
      }
      for (const info of entry.transaction.packs) {
        const content = contents?.get(info.name)
        spilled.push({ ...info, seq: entry.seq, incarnation })
        spilledPacks.push(openSpilledPack(place, info, incarnation, content?.pack))
        for (const object of content?.objects ?? []) remember(object)
      }
      if (isFull(tail)) roll(tail.splice(0))
    },
    restore(fromSegments, fromSpilled) {
      segments = [...fromSegments]
      spilled = [...fromSpilled]
      rolledPacks = segments.map((info) => openSegment(place, info))
      spilledPacks = spilled.map((info) => openSpilledPack(place, info, info.incarnation))
    },
    readTree: async (oid) => treeOf(await find(oid)),
    readCommit: async (oid) => commitOf(await find(oid)),
    async readBlob(oid) {
      const object = await find(oid)
      if (object.type !== 'blob') throw new Error(`a ${object.type} stands where a file is needed`)
      return object.content
    },
    knows: (oid) => recent.has(oid) || findKnowing(oid) !== undefined,
    async hasCommit(oid, incarnation) {
      const isHere = recent.get(oid)
      if (isHere?.incarnation === incarnation) return isHere.object.type === 'commit'
      await waitForPack()
      const isOwn = (pack: Pack) => pack.incarnation === incarnation
      return (await isInPacks(oid, isOwn)) && (await find(oid)).type === 'commit'
    },
    get segments() {
      return segments
    },
    get spilled() {
      return spilled
    },
    clear() {
      generation++
      tail = []
      recent = new Map()
      rolledPacks = []
      spilledPacks = []
      segments = []
      spilled = []
    },
  }
}

/**
 * Every object of one project: in memory, in the newest entries, in the packs of older ones. "Known" here means known to lie in
 * an applied entry or in a pack that one names, never in a cache or an attempt: a writer leaves out only what is known.
 */
import { isServiceError } from '../errors.ts'
import { type Commit, type GitObject, type Oid, parseTag, type Tree } from '../git/objects.ts'
import { createOidTable, oidTableWeightBytes } from '../git/oid-table.ts'
import type { PackIndex } from '../git/pack-index.ts'
import { damaged, fromCopy } from './damage.ts'
import type { Entry, EntryObject } from './entry.ts'
import { type CachedObject, commitOf, treeOf } from './object-cache.ts'
import {
  openSegment,
  openSpilledPack,
  type Pack,
  type PackPlace,
  type SegmentPack,
  type SpilledContent,
} from './packs.ts'
import { single } from './promises.ts'
import {
  coverAll,
  findJoinable,
  isFull,
  joinSegments,
  rollSegment,
  type Segment,
  type SegmentInfo,
  type SpilledInfo,
} from './segment.ts'

/** Indexes that are asked for one object at the same time. */
const indexesAtOnce = 8
/** After each segment; a list that a build without joins left behind is joined bit by bit. */
const joinsAtOnce = 4

export interface Objects {
  /** Takes in the next entry of the log, with the packs that its writer has at hand. */
  add(entry: Entry, spilled?: ReadonlyMap<string, SpilledContent>): void
  /** Begins from a checkpoint instead of from entry 1. */
  restore(segments: readonly SegmentInfo[], spilled: readonly SpilledInfo[]): void
  readTree(oid: Oid): Promise<Tree>
  readCommit(oid: Oid): Promise<Commit>
  readBlob(oid: Oid): Promise<Buffer>
  /** Follows tags to the commit that they stand for; null where that is something else. */
  peel(oid: Oid): Promise<Oid | null>
  /** Whether the object is known to lie in the log; false also where that would take a look. */
  knows(oid: Oid): boolean
  /** Whether an entry of this incarnation brought the commit. */
  hasCommit(oid: Oid, incarnation: number): Promise<boolean>
  /** The packs that entries spilled. */
  readonly spilled: readonly SpilledInfo[]
  /** About what all of it takes in memory, beside the memory that projects share. */
  readonly weightBytes: number
  /** Forgets everything. */
  clear(): void
}

/** What an object takes beside its content: on the heap of Node 20, with its places in the maps. */
const objectWeightBytes = 650

/**
 * @param place.id tells this project's objects from others' in the shared memory
 * @param onSegment told of the last entry of each segment that was rolled here, and of all segments up to it, none missing
 */
export function createObjects(
  place: Omit<PackPlace, 'indexLoaded'> & { id: number },
  onSegment: (last: Entry, segments: readonly SegmentPack[]) => void,
): Objects {
  const { environment } = place
  const memory = environment.objects
  /** Entries that no segment holds yet, and their objects. */
  let tail: Entry[] = []
  let recent = new Map<Oid, { object: EntryObject; incarnation: number }>()
  let segments: SegmentPack[] = []
  let spilled: { info: SpilledInfo; pack: Pack }[] = []
  /** Which of the spilled packs whose indexes are loaded hold what: there may be as many packs as there were large writes. */
  let spilledTable = createOidTable()
  let rolling: Promise<void> = Promise.resolve()
  let joining: Promise<void> = Promise.resolve()
  let generation = 0
  let weightBytes = 0

  const weightOf = ({ content }: EntryObject) => content.length + objectWeightBytes

  const memoryKey = (oid: Oid) => `${place.id}.${generation}.${oid}`

  /** What was joined meanwhile is no longer weighed. */
  const openWeighed = (info: SegmentInfo, segment?: Segment) => {
    const indexLoaded = (bytes: number) => {
      if (segments.includes(pack)) weightBytes += bytes
    }
    const pack: SegmentPack = openSegment({ ...place, indexLoaded }, info, segment)
    return pack
  }

  const openSpilled = (info: SpilledInfo, written?: SpilledContent) => {
    const table = spilledTable
    const at = spilled.length
    const indexLoaded = (bytes: number, index: PackIndex) => {
      weightBytes += bytes + index.count * oidTableWeightBytes
      table.add(index.oids(), at)
    }
    const pack = openSpilledPack({ ...place, indexLoaded }, info, info.incarnation, written)
    spilled.push({ info, pack })
  }

  /** Packs that are known to hold an object; what was written again, since it could not be read, lies in two. */
  function* knowing(oid: Oid): Generator<Pack> {
    for (const pack of segments) if (pack.knows(oid)) yield pack
    for (const at of spilledTable.packsOf(oid)) {
      const pack = spilled[at]?.pack
      if (pack?.knows(oid)) yield pack
    }
  }

  const isKnown = (oid: Oid) => [...knowing(oid)].some(({ isDamaged }) => !isDamaged)

  const readKnown = async (oid: Oid): Promise<GitObject | null> => {
    const damages: unknown[] = []
    // All of them now: what is loaded meanwhile moves the table.
    for (const pack of [...knowing(oid)]) {
      try {
        return await pack.read(oid)
      } catch (error) {
        if (!isServiceError(error)) throw error
        damages.push(error)
      }
    }
    if (damages.length > 0) throw damages[0]
    return null
  }

  /** Rolls entries away; they stay readable where they are until their pack is. */
  const roll = (entries: Entry[]) => {
    const before = generation
    const last = entries.at(-1) as Entry
    rolling = rolling.then(() => {
      const segment = rollSegment(entries)
      if (before !== generation) return
      segments.push(openWeighed(segment.info, segment))
      for (const entry of entries) {
        weightBytes -= entry.bytes.length
        for (const object of entry.objects) {
          weightBytes -= weightOf(object)
          if (recent.get(object.oid)?.object === object) recent.delete(object.oid)
        }
      }
    })
    rolling = rolling.catch(failedTo('roll a segment'))
    joining = Promise.all([rolling, joining])
      .then(() => join(last))
      .catch(failedTo('join segments'))
      .then(() => {
        const upTo = segmentsUpTo(last)
        const isWhole = coverAll(
          upTo.map(({ info }) => info),
          last.seq,
        )
        if (before === generation && isWhole) onSegment(last, upTo)
      })
  }

  const segmentsUpTo = (last: Entry) => segments.filter(({ info }) => info.to <= last.seq)

  const failedTo = (work: string) => (error: unknown) => {
    environment.observer.log('error', 'background_failed', { work, error })
  }

  /** Joins segments up to an entry: reads meet the parts or the whole. One project at a time, for the memory that it takes. */
  const join = async (last: Entry) => {
    const before = generation
    for (let joins = 0; joins < joinsAtOnce && before === generation; joins++) {
      const upTo = segmentsUpTo(last)
      const found = findJoinable(upTo.map(({ info }) => info))
      if (found === null) return
      const parts = upTo.slice(found.at, found.at + found.count)
      await environment.inTurn(async () => {
        const joined = joinSegments(await Promise.all(parts.map((pack) => pack.whole())))
        if (before !== generation) return
        segments.splice(found.at, found.count, openWeighed(joined.info, joined))
        for (const { indexBytes } of parts) weightBytes -= indexBytes
      })
    }
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
    if (!found) {
      const problem = `no entry holds object ${oid}`
      throw damaged({
        object: place.keys.logPrefix,
        problem,
        remedy: `verify tells more; ${fromCopy}`,
      })
    }
    const object: CachedObject = { type: found.type, content: found.content }
    memory.set(key, object)
    environment.observer.count('cache_requests_total', { cache: 'objects', result: 'miss' })
    return object
  }

  const findInPacks = async (oid: Oid): Promise<GitObject | null> => {
    const known = await readKnown(oid).catch((error) => {
      if (!isServiceError(error)) throw error
      return null
    })
    if (known) return known
    // One that knows it and cannot give it must not keep others from being asked.
    const isWanted = ({ isLoaded, isDamaged }: Pack) => !(isLoaded && isDamaged)
    while (await isInPacks(oid, isWanted)) {
      const found = await readKnown(oid)
      if (found) return found
      // The pack that holds it was joined with others meanwhile, into one whose index is not loaded.
    }
    // A segment may have been rolled while the indexes were read.
    return (await readKnown(oid)) ?? recent.get(oid)?.object ?? null
  }

  /**
   * Segments have whole indexes and are few. A small pack that an entry spilled is fetched and inflated to know what it holds, which
   * mostly is the content of one large file; there may be as many as there were uploads.
   */
  const isInPacks = async (oid: Oid, isWanted = (_: Pack) => true): Promise<boolean> => {
    if (await holdsAny(segments.filter(isWanted), oid)) return true
    if ([...knowing(oid)].some(isWanted)) return true
    const others = spilled.flatMap(({ pack }) => (pack.isLoaded ? [] : pack))
    return holdsAny(others.filter(isWanted), oid)
  }

  /** What is asked for was mostly written lately, so the indexes of older packs are left alone for as long as may be. */
  const holdsAny = async (candidates: readonly Pack[], oid: Oid): Promise<boolean> => {
    const newestFirst = [...candidates].reverse()
    const damages: unknown[] = []
    for (let at = 0; at < newestFirst.length; at += indexesAtOnce) {
      const some = newestFirst.slice(at, at + indexesAtOnce)
      const looked = await Promise.allSettled(some.map((pack) => pack.holds(oid)))
      if (looked.some((one) => one.status === 'fulfilled' && one.value)) return true
      for (const one of looked) {
        if (one.status === 'fulfilled') continue
        if (!isServiceError(one.reason)) throw one.reason
        damages.push(one.reason)
      }
    }
    // The one that cannot be read may be the one that holds it.
    if (damages.length > 0) throw damages[0]
    return false
  }

  const peel = async (oid: Oid): Promise<Oid | null> => {
    const { type, content } = await find(oid)
    if (type === 'tag') return peel(parseTag(content))
    return type === 'commit' ? oid : null
  }

  const waitForPack = single(() => rolling)

  return {
    add(entry, contents) {
      const { incarnation } = entry.transaction
      const first = tail[0]
      if (first && first.transaction.incarnation !== incarnation) roll(tail.splice(0))
      tail.push(entry)
      weightBytes += entry.bytes.length
      for (const object of entry.objects) {
        weightBytes += weightOf(object)
        recent.set(object.oid, { object, incarnation })
        remember(object)
      }
      for (const info of entry.transaction.packs) {
        const content = contents?.get(info.name)
        openSpilled({ ...info, seq: entry.seq, incarnation }, content)
        for (const object of content?.objects ?? []) remember(object)
      }
      if (isFull(tail)) roll(tail.splice(0))
    },
    restore(fromSegments, fromSpilled) {
      segments = fromSegments.map((info) => openWeighed(info))
      spilled = []
      spilledTable = createOidTable()
      for (const info of fromSpilled) openSpilled(info)
    },
    readTree: async (oid) => treeOf(await find(oid)),
    readCommit: async (oid) => commitOf(await find(oid)),
    async readBlob(oid) {
      const object = await find(oid)
      if (object.type !== 'blob') throw new Error(`a ${object.type} stands where a file is needed`)
      return object.content
    },
    peel,
    knows: (oid) => recent.has(oid) || isKnown(oid),
    async hasCommit(oid, incarnation) {
      const isHere = recent.get(oid)
      if (isHere?.incarnation === incarnation) return isHere.object.type === 'commit'
      await waitForPack()
      const isOwn = (pack: Pack) => pack.incarnation === incarnation
      return (await isInPacks(oid, isOwn)) && (await find(oid)).type === 'commit'
    },
    get spilled() {
      return spilled.map(({ info }) => info)
    },
    get weightBytes() {
      return weightBytes
    },
    clear() {
      generation++
      weightBytes = 0
      tail = []
      recent = new Map()
      segments = []
      spilled = []
      spilledTable = createOidTable()
    },
  }
}

/**
 * Reads everything of a project back: the chain of its log, every object and what it names, the packs that entries spilled, and
 * the checkpoints, which the log can make again.
 */
import {
  type GitObject,
  type Oid,
  parseCommit,
  parseTag,
  parseTree,
  submoduleMode,
} from '../git/objects.ts'
import { indexPack, parseIndex, readPacked } from '../git/pack-index.ts'
import { StoreError } from '../store/store.ts'
import {
  listCheckpoints,
  putSegment,
  type ReadingPlace,
  readCheckpoint,
  remakeSegment,
} from './checkpoint.ts'
import { fromCopy, orWithout, type Problem, unreadable } from './damage.ts'
import { type Entry, type SpilledPack, sha256 } from './entry.ts'
import { fetchWhole, listAll, storeTimeoutMs } from './environment.ts'
import { inspectLog } from './restore.ts'
import type { SegmentInfo } from './segment.ts'

/** What was read, and what was found. */
export interface Verified {
  entries: number
  objects: number
  spilledPacks: number
  checkpoints: number
  problems: Problem[]
  /** No problems any more. */
  repaired: Problem[]
}

export interface VerifyOptions {
  place: ReadingPlace
  /** Whether checkpoints that are damaged are made again, or removed. */
  repairs: boolean
  /** Told after each entry how many there are about. */
  onProgress?: (entries: number, total: number) => void
}

const harmless = 'nobody is harmed, the log gives it again; --repair-checkpoints puts it right'

/** Verifies one project; others may write to it meanwhile. @throws StoreError */
export async function verifyProject(options: VerifyOptions): Promise<Verified> {
  const { handle, problems, repaired } = createRepairs(options)
  const { hashes, ...log } = await verifyLog(options, handle)
  const aside = await verifySetAside(options)
  const checkpoints = await verifyCheckpoints(options, hashes, handle)
  return { ...log, checkpoints, problems: [...log.problems, ...aside, ...problems], repaired }
}

/** Puts one right, or tells of it. */
type Handle = (found: Problem, repair: () => Promise<void>) => Promise<void>

function createRepairs({ repairs }: VerifyOptions) {
  const problems: Problem[] = []
  const repaired: Problem[] = []
  const handle: Handle = async (found, repair) => {
    if (!repairs) {
      problems.push({ ...found, remedy: harmless })
      return
    }
    try {
      await repair()
      repaired.push(found)
    } catch (error) {
      if (error instanceof StoreError) throw error
      const problem = `${found.problem}: ${(error as Error).message}`
      problems.push({ ...found, problem, remedy: 'mend the log first' })
    }
  }
  return { handle, problems, repaired }
}

/** @returns what it found, and the sha256 of each entry */
async function verifyLog({ place, onProgress }: VerifyOptions, handle: Handle) {
  const { keys, environment } = place
  const known = new Set<Oid>()
  const told = new Set<Oid>()
  const hashes = new Map<number, string>()
  const problems: Problem[] = []
  let spilledPacks = 0

  /** Everything that an object names has to come before it, or with it. */
  const follow = (from: string, name: Oid, object: Pick<GitObject, 'type' | 'content'>) => {
    for (const oid of namedBy(object)) {
      if (known.has(oid) || told.has(oid)) continue
      // Whatever else names it lacks the same.
      told.add(oid)
      const problem = `${object.type} ${name} names ${oid}, which is in no entry up to here`
      const remedy = `${fromCopy}, or restore what it belongs to as an earlier commit has it`
      problems.push({ object: from, problem, remedy })
    }
  }

  const readSpilled = async (info: SpilledPack) => {
    const key = keys.spilledPack(info.name)
    spilledPacks++
    const pack = await fetchWhole(environment.store, key)
    if (pack === null || sha256(pack) !== info.sha256) {
      const problem = pack === null ? 'is absent' : 'is not what its entry says'
      problems.push({ object: key, problem, remedy: unreadable })
      return
    }
    const made = await indexPack(pack)
    await verifySpilledIndex(place, { info, made, handle })
    const index = parseIndex(made, pack.length)
    for (const oid of index.oids()) known.add(oid)
    const range = async (start: number, end: number) => pack.subarray(start, end)
    for (const oid of index.oids()) {
      const object = await readPacked(oid, index, range)
      if (object) follow(key, oid, object)
    }
  }

  const onEntry = async (entry: Entry, total: number) => {
    const key = keys.entry(entry.seq)
    hashes.set(entry.seq, entry.hash)
    for (const { oid } of entry.objects) known.add(oid)
    for (const info of entry.transaction.packs) await readSpilled(info)
    for (const object of entry.objects) follow(key, object.oid, object)
    for (const [ref, oid] of entry.refs) {
      if (known.has(oid)) continue
      const problem = `${ref} is ${oid}, which is in no entry up to here`
      problems.push({ object: key, problem, remedy: fromCopy })
    }
    onProgress?.(entry.seq, Math.max(total, entry.seq))
  }

  const { store } = environment
  const { intact, because, checkpointed } = await inspectLog({ store, keys }, onEntry)
  if (because !== null || checkpointed > intact) {
    const problem = because ?? `entry ${intact + 1} is absent, though a checkpoint knows it`
    problems.push({ object: keys.entry(intact + 1), problem, remedy: orWithout })
  }
  return { entries: intact, objects: known.size, spilledPacks, problems, hashes }
}

/** @param hashes of the entries that are intact @returns how many checkpoints there are */
async function verifyCheckpoints(
  { place }: VerifyOptions,
  hashes: ReadonlyMap<number, string>,
  handle: Handle,
): Promise<number> {
  const { keys, environment } = place
  const judged = new Set<string>()

  /** Who writes checkpoints removes old ones meanwhile, and what only they name. */
  const isStillThere = async (key: string) => (await fetchWhole(environment.store, key)) !== null

  const { objects } = await listCheckpoints(place)
  for (const { key } of objects) {
    const seq = keys.parseCheckpoint(key) as number
    const file = await readCheckpoint(place, key)
    const isRight = file?.seq === seq && (hashes.get(seq) ?? file.entryHash) === file.entryHash
    if (!isRight) {
      if (!(await isStillThere(key))) continue
      const problem = file ? 'is not of this log' : 'is damaged'
      await handle({ object: key, problem }, async () => {
        await environment.store.delete(key, { timeoutMs: storeTimeoutMs })
      })
      continue
    }
    for (const info of file.packs) {
      if (judged.has(info.sha256)) continue
      judged.add(info.sha256)
      const found = await judgeSegment(place, info)
      if (found === null || !(await isStillThere(key))) continue
      await handle(found, async () => putSegment(place, await remakeSegment(place, info)))
    }
  }
  return objects.length
}

/** Of a large spilled pack; where it is absent readers make it of the pack. */
async function verifySpilledIndex(
  { keys, environment }: ReadingPlace,
  { info, made, handle }: { info: SpilledPack; made: Buffer; handle: Handle },
): Promise<void> {
  if (info.indexSha256 === undefined) return
  const object = keys.checkpointIndex(info.sha256)
  const bytes = await fetchWhole(environment.store, object)
  if (bytes !== null && sha256(bytes) === info.indexSha256) return
  const problem = bytes === null ? 'is absent' : 'is damaged'
  await handle({ object, problem }, async () => {
    await environment.store.put(object, made, { timeoutMs: storeTimeoutMs })
  })
}

/** Entries that were given up are named by their hash. */
async function verifySetAside({ place }: VerifyOptions): Promise<Problem[]> {
  const { keys, environment } = place
  const problems: Problem[] = []
  for await (const { key: object } of listAll(environment.store, keys.setAsidePrefix)) {
    const bytes = await fetchWhole(environment.store, object)
    if (bytes === null || object.endsWith(`-${sha256(bytes)}.bundle`)) continue
    const remedy = `${fromCopy}, or remove it: it counts no more, and is kept for people alone`
    problems.push({ object, problem: 'is damaged', remedy })
  }
  return problems
}

/** @returns what of a segment is not what its checkpoint says, or null */
async function judgeSegment(place: ReadingPlace, info: SegmentInfo): Promise<Problem | null> {
  const { keys, environment } = place
  const parts = [
    { object: keys.checkpointPack(info.sha256), hash: info.sha256 },
    { object: keys.checkpointIndex(info.sha256), hash: info.indexSha256 },
  ]
  if (info.outcomes) {
    const hash = info.outcomes.sha256
    parts.push({ object: keys.checkpointOutcomes(hash), hash })
  }
  for (const { object, hash } of parts) {
    const bytes = await fetchWhole(environment.store, object)
    if (bytes === null) return { object, problem: 'is absent' }
    if (sha256(bytes) !== hash) return { object, problem: 'is damaged' }
  }
  return null
}

function namedBy({ type, content }: Pick<GitObject, 'type' | 'content'>): Oid[] {
  if (type === 'blob') return []
  if (type === 'tag') return [parseTag(content)]
  if (type === 'commit') {
    const { tree, parents } = parseCommit(content)
    return [tree, ...parents]
  }
  const entries = [...parseTree(content).values()]
  return entries.filter(({ mode }) => mode !== submoduleMode).map(({ oid }) => oid)
}

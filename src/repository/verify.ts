/**
 * Reads everything of a project back: the chain of its log, every object and what it refers to, the packs that entries name, and
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
import { type Entry, type SpilledPack, sha256 } from './entry.ts'
import { storeTimeoutMs } from './environment.ts'
import { inspectLog } from './restore.ts'
import type { SegmentInfo } from './segment.ts'

/** One thing that is not as it has to be. */
export interface Problem {
  /** Its key in the bucket. */
  object: string
  problem: string
  /** What a person does about it; absent where it was repaired. */
  remedy?: string
}

/** What was read, and what was found. */
export interface Verified {
  entries: number
  objects: number
  spilledPacks: number
  checkpoints: number
  /** Those that were repaired left out. */
  problems: Problem[]
  repaired: Problem[]
}

const fromCopy = 'bring it back from a copy of the bucket'

/**
 * Verifies one project; other processes may write to it meanwhile.
 * @param options.repairs whether checkpoints that are damaged are made again, or removed
 * @param options.onProgress told after each entry how many there are
 * @throws StoreError
 */
export async function verifyProject(options: {
  place: ReadingPlace
  repairs: boolean
  onProgress?: (entries: number, total: number) => void
}): Promise<Verified> {
  const { place, repairs } = options
  const { keys, environment } = place
  const { store } = environment
  const problems: Problem[] = []
  const repaired: Problem[] = []
  const known = new Set<Oid>()
  const hashes = new Map<number, string>()
  let spilledPacks = 0

  const tell = (object: string, problem: string, remedy: string) => {
    problems.push({ object, problem, remedy })
  }

  /** Everything that an object names has to come before it, or with it. */
  const follow = (from: string, name: Oid, object: Pick<GitObject, 'type' | 'content'>) => {
    for (const oid of namedBy(object)) {
      if (known.has(oid)) continue
      const problem = `${object.type} ${name} names ${oid}, which is in no entry up to here`
      tell(from, problem, `${fromCopy}, or restore what it belongs to to an earlier commit`)
    }
  }

  const readSpilled = async (info: SpilledPack) => {
    const key = keys.spilledPack(info.name)
    spilledPacks++
    const pack = await fetch(place, key)
    if (pack === null) return tell(key, 'is absent', `${fromCopy}: files in it cannot be read`)
    if (sha256(pack) !== info.sha256) {
      return tell(key, 'is not what its entry says', `${fromCopy}: files in it cannot be read`)
    }
    const index = parseIndex(await indexPack(pack), pack.length)
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
      tell(key, `${ref} is ${oid}, which is in no entry up to here`, fromCopy)
    }
    options.onProgress?.(entry.seq, Math.max(total, entry.seq))
  }

  const findings = await inspectLog({ store, keys }, onEntry)
  if (findings.because !== null || findings.checkpointed > findings.intact) {
    const remedy = `${fromCopy}, or from the cache folder of a replica (entries/); else accept-restore lets the project go on without`
    const problem =
      findings.because ?? `entry ${findings.intact + 1} is absent, though a checkpoint knows it`
    tell(keys.entry(findings.intact + 1), problem, remedy)
  }

  const isStillThere = async (key: string) => (await fetch(place, key)) !== null
  const remove = (key: string) => store.delete(key, { timeoutMs: storeTimeoutMs })

  /** @returns why a segment beside the checkpoints is not what they say, or null */
  const judge = async (info: SegmentInfo): Promise<{ object: string; problem: string } | null> => {
    const parts: [string, string][] = [
      [keys.checkpointPack(info.sha256), info.sha256],
      [keys.checkpointIndex(info.sha256), info.indexSha256],
    ]
    if (info.outcomes) {
      const { sha256 } = info.outcomes
      parts.push([keys.checkpointOutcomes(sha256), sha256])
    }
    for (const [object, hash] of parts) {
      const bytes = await fetch(place, object)
      if (bytes === null) return { object, problem: 'is absent' }
      if (sha256(bytes) !== hash) return { object, problem: 'is damaged' }
    }
    return null
  }

  const judged = new Set<string>()
  const readSegment = async (info: SegmentInfo, checkpoint: string) => {
    if (judged.has(info.sha256)) return
    judged.add(info.sha256)
    const found = await judge(info)
    // Who writes checkpoints removes old ones, and what only they name.
    if (found === null || !(await isStillThere(checkpoint))) return
    if (!repairs) return tell(found.object, found.problem, harmless)
    try {
      await putSegment(place, await remakeSegment(place, info))
      repaired.push(found)
    } catch (error) {
      if (error instanceof StoreError) throw error
      tell(found.object, `${found.problem}: ${(error as Error).message}`, 'mend the log first')
    }
  }

  const { objects: checkpoints } = await listCheckpoints(place)
  for (const { key } of checkpoints) {
    const seq = keys.parseCheckpoint(key) as number
    const file = await readCheckpoint(place, key)
    const isRight = file?.seq === seq && (hashes.get(seq) ?? file.entryHash) === file.entryHash
    if (file && isRight) {
      for (const info of file.packs) await readSegment(info, key)
      continue
    }
    if (!(await isStillThere(key))) continue
    const found = { object: key, problem: file ? 'is not of this log' : 'is damaged' }
    if (!repairs) {
      problems.push({ ...found, remedy: harmless })
      continue
    }
    await remove(key)
    repaired.push(found)
  }

  const { intact: entries } = findings
  const counts = { entries, objects: known.size, spilledPacks, checkpoints: checkpoints.length }
  return { ...counts, problems, repaired }
}

const harmless = 'nobody is harmed, the log gives it again; --repair-checkpoints puts it right'

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

async function fetch({ environment }: ReadingPlace, key: string): Promise<Buffer | null> {
  const object = await environment.store.get(key, { timeoutMs: storeTimeoutMs })
  return object === null || object === 'not-modified' ? null : object.body
}

/**
 * Evaluates requests that travel together into the entry that holds them. Nothing is sent here but spilled packs, and nothing of an
 * attempt is remembered but what its requests carry: an attempt that is lost leaves no trace.
 */
import { isRefusal, ServiceError } from '../errors.ts'
import { entryMaxBytes, refListMaxBytes, refListSizeBytes } from '../git/bundle.ts'
import type { Identity, ObjectType, Oid } from '../git/objects.ts'
import { encodePackAside } from '../git/pack.ts'
import { indexEncodedPack } from '../git/pack-index.ts'
import { findRefConflict } from '../git/ref-name.ts'
import { toRfc3339 } from '../git/time.ts'
import { createDraft, type DraftResult, type DraftState, stateOf } from './draft.ts'
import {
  type Entry,
  type EntryKind,
  type EntryObject,
  encodeEntry,
  formatVersion,
  hashHeader,
  type SpilledPack,
  sha256,
  sha256Aside,
  type Transaction,
  type TransactionRequest,
  transactionRef,
} from './entry.ts'
import type { Log, SpilledPacks } from './log.ts'
import { commitOf } from './object-cache.ts'
import type { SpilledContent } from './packs.ts'
import type { BlobMemo, Outcome, WriteRequest } from './repository.ts'
import type { Snapshot } from './snapshot.ts'

/** A request on its way, with what may be kept from one evaluation to the next. */
export interface BatchRequest {
  request: WriteRequest
  /** Answered, whatever happens later: not to be evaluated any more. */
  isAnswered: boolean
  blobs: BlobMemo
  /** The pack of blobs that was uploaded for it; blobs do not change from one evaluation to the next. */
  spilledBlobs?: { info: SpilledPack; content: SpilledContent }
}

/** How a request of a batch is answered. */
export type Verdict =
  /** Stands in the entry, and is answered once that is in the log. */
  | { by: 'entry'; outcome: Outcome }
  /** Changed nothing and is not recorded: true only if the state it saw is proven. */
  | { by: 'read'; outcome: Outcome }
  /** Its key stands in the log already. */
  | { by: 'log'; outcome: Outcome }
  /** Could not be evaluated; alone. */
  | { by: 'failure'; error: unknown }

export interface Plan<Request extends BatchRequest> {
  /** The state that all of it was evaluated on. */
  snapshot: Snapshot
  verdicts: Map<Request, Verdict>
  /** Requests that did not fit any more, in their order. */
  left: Request[]
  /** Null where nothing is to be recorded. */
  entry: Entry | null
  spilled: SpilledPacks
}

export interface PlanOptions<Request extends BatchRequest> {
  log: Log
  requests: readonly Request[]
  nowMs: number
  uuid: () => string
  build: string
  committer: Identity
  /** Uploads a spilled pack, and its index where that is named; returns once the pack is acknowledged. */
  upload: (info: SpilledPack, pack: Buffer, index: Buffer) => Promise<void>
  /** Lets others have their turn of the event loop: a request takes a millisecond of it, and a batch has many. */
  rest: () => Promise<void>
}

/** Spilled packs from this size on have their index beside the checkpoints. */
const indexedFromBytes = 1024 * 1024

/** Refusals that depend on the request alone; they bind no key. */
const staticStatuses = new Set([400, 413, 415, 422])

const kinds: Record<DraftState['change'], EntryKind> = {
  none: 'commit',
  begun: 'create',
  revived: 'create',
  upgraded: 'upgrade',
  ended: 'delete',
}

/** Bytes of an entry besides its refs, prerequisites, objects and requests: signature, fixed fields, pack frame. */
const frameBytes = 1_024
const objectFrameBytes = 16

/** Evaluates requests in order on the newest applied state, as many as fit into one entry. */
export async function planBatch<Request extends BatchRequest>(
  options: PlanOptions<Request>,
): Promise<Plan<Request>> {
  const { log } = options
  const { snapshot } = log
  const atMs = Math.max(options.nowMs, snapshot.atMs)
  const verdicts = new Map<Request, Verdict>()
  const keys = new Map<string, { digest: string; outcome: Outcome }>()
  const recorded: TransactionRequest[] = []
  const made = new Map<Oid, EntryObject>()
  let state = stateOf(snapshot)
  let isChanged = false
  let sizeBytes = frameBytes
  let left: Request[] = []
  let spiller: Request | null = null

  const evaluate = async (
    item: Request,
  ): Promise<{ outcome: Outcome; result: DraftResult | null }> => {
    const { request } = item
    const { draft, result } = createDraft({
      snapshot,
      objects: log.objects,
      before: state,
      madeBefore: made,
      blobs: item.blobs,
      author: request.author,
      committer: options.committer,
      atMs,
      findLastExisting: () => log.findLastExisting(snapshot),
    })
    try {
      const outcome = await request.evaluate(draft)
      const drafted = await result()
      if (drafted.isChanged) checkRefs(drafted.state.refs)
      return { outcome, result: drafted }
    } catch (error) {
      if (!isRefusal(error)) throw error
      const { status, code, message } = error
      return { outcome: { status, code, message }, result: null }
    }
  }

  for (const [at, item] of options.requests.entries()) {
    const { idempotency } = item.request
    if (at > 0) await options.rest()
    try {
      const bound = idempotency && (await findKey(log, keys, idempotency))
      if (bound) {
        verdicts.set(item, bound)
        continue
      }
      if (item.isAnswered) continue
      const { outcome, result } = await evaluate(item)
      const isEffect = result?.isChanged === true
      const isRecorded = isEffect || (idempotency !== undefined && bindsKey(outcome, snapshot))
      if (!isRecorded) {
        verdicts.set(item, { by: 'read', outcome })
        continue
      }
      const record: TransactionRequest = {
        ...idempotency,
        principal: item.request.principal,
        commits: isEffect ? (result as DraftResult).commits : [],
        outcome,
      }
      const addedBytes = sizeOf(record, isEffect ? result : null, state)
      const fits = sizeBytes + addedBytes + refListSizeBytes(state.refs) <= entryMaxBytes
      if (!fits && recorded.length > 0) {
        left = options.requests.slice(at)
        break
      }
      if (!fits) spiller = item
      sizeBytes += addedBytes
      recorded.push(record)
      if (isEffect) {
        const drafted = result as DraftResult
        for (const [oid, object] of drafted.made) made.set(oid, object)
        state = drafted.state
        isChanged = true
      }
      if (idempotency) keys.set(idempotency.key, { digest: idempotency.digest, outcome })
      verdicts.set(item, { by: 'entry', outcome })
      if (spiller) {
        left = options.requests.slice(at + 1)
        break
      }
    } catch (error) {
      verdicts.set(item, { by: 'failure', error })
    }
  }

  const plan = { snapshot, verdicts, left }
  if (!isChanged && recorded.length === 0) return { ...plan, entry: null, spilled: new Map() }
  const { adopted } = state
  const prerequisites = [...prerequisitesOf(made), ...(adopted?.prerequisites ?? [])]
  const takenBytes =
    frameBytes +
    refListSizeBytes(state.refs) +
    42 * prerequisites.length +
    Buffer.byteLength(JSON.stringify(recorded))
  const spilled = spiller
    ? await spill(options, spiller, { made, roomBytes: entryMaxBytes - takenBytes })
    : noSpill(made)
  const isBegun = state.change === 'begun'
  const seq = snapshot.seq + 1
  const transaction: Transaction = {
    version: formatVersion,
    seq,
    previous: snapshot.hash,
    transactionId: options.uuid(),
    kind: adopted ? 'import' : kinds[state.change],
    format: state.format,
    minReader: state.minReader,
    minWriter: state.minWriter,
    incarnation: isBegun ? seq : snapshot.incarnation,
    defaultBranch: state.defaultBranch,
    at: toRfc3339(atMs),
    build: options.build,
    packs: [...(adopted?.packs ?? []), ...spilled.infos],
    header: hashHeader(prerequisites, state.refs),
    requests: recorded,
  }
  const entry = encodeEntry({
    transaction,
    refs: state.refs,
    prerequisites,
    objects: spilled.inEntry,
  })
  if (entry.bytes.length > entryMaxBytes) throw new Error(`an entry of ${entry.bytes.length} bytes`)
  return { ...plan, entry, spilled: spilled.packs }
}

/** Refuses what Git, or an entry, could not hold. */
function checkRefs(refs: ReadonlyMap<string, Oid>): void {
  const name = findRefConflict(refs)
  if (name !== null) {
    throw new ServiceError('conflict', `a branch cannot be a folder of branches too: ${name}`)
  }
  if (refListSizeBytes(refs) + transactionRef.length + 42 > refListMaxBytes) {
    throw new ServiceError('conflict', 'the project has no room for one more branch')
  }
}

/** What a key was answered, in this batch or in the log; the same key for another request is refused. */
async function findKey(
  log: Log,
  batch: ReadonlyMap<string, { digest: string; outcome: Outcome }>,
  idempotency: { key: string; digest: string },
): Promise<Verdict | null> {
  const inBatch = batch.get(idempotency.key)
  const bound = inBatch ?? (await log.outcomes.find(idempotency.key))
  if (!bound) return null
  if (bound.digest === idempotency.digest) {
    return { by: inBatch ? 'entry' : 'log', outcome: bound.outcome }
  }
  const message = 'the Idempotency-Key was used for another request'
  return { by: 'read', outcome: { status: 422, code: 'key_reused', message } }
}

/** A static refusal binds no key, nor does anything on an empty log that leaves it empty: there is nothing to keep it in. */
function bindsKey(outcome: Outcome, snapshot: Snapshot): boolean {
  return snapshot.seq > 0 && !staticStatuses.has(outcome.status)
}

/** What a request adds to its entry at most. */
function sizeOf(
  record: TransactionRequest,
  result: DraftResult | null,
  before: DraftState,
): number {
  let sizeBytes = Buffer.byteLength(JSON.stringify(record)) + 2
  if (!result) return sizeBytes
  sizeBytes += refListSizeBytes(result.state.refs) - refListSizeBytes(before.refs)
  for (const object of result.made.values()) {
    sizeBytes += object.deflated.length + objectFrameBytes
    if (object.type === 'commit') sizeBytes += 42 * commitOf(object).parents.length
  }
  return sizeBytes
}

/** Parents of commits in the entry and its packs that lie outside both. */
function prerequisitesOf(made: ReadonlyMap<Oid, EntryObject>): Oid[] {
  const outside = new Set<Oid>()
  for (const object of made.values()) {
    if (object.type !== 'commit') continue
    for (const parent of commitOf(object).parents) if (!made.has(parent)) outside.add(parent)
  }
  return [...outside]
}

interface Spill {
  infos: SpilledPack[]
  packs: SpilledPacks
  inEntry: EntryObject[]
}

function noSpill(made: ReadonlyMap<Oid, EntryObject>): Spill {
  return { infos: [], packs: new Map(), inEntry: [...made.values()] }
}

/**
 * Uploads what does not fit: blobs first, then trees, then commits. The blobs travel in a pack of their own, which is uploaded once
 * however often the slot is lost.
 */
async function spill<Request extends BatchRequest>(
  options: PlanOptions<Request>,
  item: Request,
  { made, roomBytes }: { made: ReadonlyMap<Oid, EntryObject>; roomBytes: number },
): Promise<Spill> {
  const infos: SpilledPack[] = []
  const packs = new Map<string, SpilledContent>()
  const objects = [...made.values()]
  const ofType = (type: ObjectType) => objects.filter((object) => object.type === type)

  const upload = async (content: EntryObject[]) => {
    const pack = await encodePackAside(content)
    const index = indexEncodedPack(content, pack)
    const info: SpilledPack = {
      name: `${options.uuid()}.pack`,
      bytes: pack.length,
      sha256: await sha256Aside(pack),
      // Else whoever reads a small part of a large pack fetches and inflates all of it first.
      ...(pack.length >= indexedFromBytes && { indexSha256: sha256(index) }),
    }
    await options.upload(info, pack, index)
    return { info, content: { pack, index, objects: content } }
  }
  const add = (spilled: { info: SpilledPack; content: SpilledContent }) => {
    infos.push(spilled.info)
    packs.set(spilled.info.name, spilled.content)
  }

  const blobs = ofType('blob')
  if (blobs.length > 0) {
    const uploaded = new Set(item.spilledBlobs?.content.objects.map(({ oid }) => oid))
    if (!blobs.every(({ oid }) => uploaded.has(oid))) item.spilledBlobs = await upload(blobs)
    add(item.spilledBlobs as NonNullable<BatchRequest['spilledBlobs']>)
  }
  let inEntry = [...ofType('tree'), ...ofType('commit')]
  const spilledTypes: ObjectType[] = []
  for (const type of ['tree', 'commit'] as const) {
    if (sizeOfObjects(inEntry) <= roomBytes) break
    spilledTypes.push(type)
    inEntry = inEntry.filter((object) => object.type !== type)
  }
  if (spilledTypes.length > 0) {
    add(await upload(objects.filter(({ type }) => spilledTypes.includes(type))))
  }
  return { infos, packs, inEntry }
}

function sizeOfObjects(objects: readonly EntryObject[]): number {
  return objects.reduce((sum, { deflated }) => sum + deflated.length + objectFrameBytes, 0)
}

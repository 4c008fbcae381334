/**
 * One replica's knowledge of one project's log: what it has applied, how fresh that is, and whether the store still holds it.
 *
 * Everything comes in through `take`, entry by entry, each checked against the one before. What the store shows that cannot be (a
 * gap, an entry that is not the one applied) stops the project: it answers 503, says why, and is looked at again every 30 s.
 */
import { ServiceError } from '../errors.ts'
import type { StoredObject } from '../store/store.ts'
import { cachedEntries, type ProjectCache } from './cache.ts'
import { createCheckpointWriter, findCheckpoint, loadOutcomes } from './checkpoint.ts'
import { inWords, orWithout } from './damage.ts'
import { findLastExisting } from './deleted.ts'
import { decodeEntry, type Entry, EntryError, sha256 } from './entry.ts'
import { type Environment, mapParallel, storeTimeoutMs } from './environment.ts'
import { createFreshness } from './freshness.ts'
import type { ProjectKeys } from './keys.ts'
import { ageMsOf, laterOf, type Moment, momentOf } from './moment.ts'
import { createObjects, type Objects } from './objects.ts'
import { createOutcomes, type Outcomes } from './outcomes.ts'
import type { SpilledContent } from './packs.ts'
import { single } from './promises.ts'
import type { ProjectName } from './repository.ts'
import { createAcceptance } from './restore.ts'
import { emptySnapshot, follow, type Snapshot, snapshotOf } from './snapshot.ts'
import { createWitness, LogViolation } from './witness.ts'

const recheckMs = 30_000
const witnessMaxAgeMs = 10_000
/** Then a look begins that nobody waits for yet; it takes far less than the time that is left. */
const witnessAheadMs = 8_000
const wholeMaxAgeMs = 300_000
/** The first look at the whole log leaves a start its turn, for a long log takes many lists; replicas of one rollout look apart. */
const firstWholeAfterMs = 30_000
const firstWholeSpreadMs = 30_000
const fetchAtOnce = 16
const listPage = 1_000
/** How many slots a probe looks at, and how many more together where it finds an entry; a list then ends the chase after a busy writer. */
const slotsBeforeList = [1, 4] as const
/** Without a reason of ours an abort makes an exception with its stack, which is most of what it costs. */
const probeEnded = 'the probe has ended'

export interface Log {
  /** The newest applied state. */
  readonly snapshot: Snapshot
  readonly objects: Objects
  readonly outcomes: Outcomes
  /** `applied`: the newest entry that this replica applied, or that its cache folder holds. */
  readonly stopped: { reason: string; object: string; sinceMs: number; applied: number } | null
  /** Milliseconds since the state was last proven; infinite before the first time. */
  ageMs(): number
  /**
   * Makes the state one that was proven by a look at the store which began after this call.
   * @throws store_unavailable, project_stopped
   */
  prove(): Promise<void>
  /** Opens the log without a proof. @throws as `prove` */
  open(): Promise<void>
  /** Sees that what was applied is still there, unless that was seen within 10 s. @throws as `prove` */
  witness(): Promise<void>
  /** The newest state up to this one in which the project was there; null for none. @throws StoreError, project_stopped */
  findLastExisting(from: Snapshot): Promise<Snapshot | null>
  /** Tells of an entry that is about to be created here: found in its slot, it need not be taken apart. @returns what forgets it */
  expect(entry: Entry, spilled: SpilledPacks): () => void
  /** Applies the entry that this replica has just created. */
  won(entry: Entry, created: { etag: string; started: Moment }, spilled: SpilledPacks): void
  /** Applies the entry that another writer created in a slot. @throws project_stopped */
  lost(seq: number, object: StoredObject): Promise<void>
  /** Stops the project. @param seq the entry that shows why @returns the error that says so */
  stop(reason: string, seq: number): ServiceError
  /** Ends timers. */
  close(): void
}

interface EntryPage {
  seqs: number[]
  /** Where to go on; null at the end. */
  next: string | null
}

export type SpilledPacks = ReadonlyMap<string, SpilledContent>

/** Makes a log that is opened when it is first needed. */
export function createLog(options: {
  environment: Environment
  project: ProjectName
  /** Tells this project from others in shared memory. */
  id: number
  keys: ProjectKeys
  cache: ProjectCache | null
  /** Told when the project stops or goes on. */
  onStopped: () => void
}): Log {
  const { environment, project, keys, cache } = options
  const { store, clock, observer } = environment
  const checkpoints = createCheckpointWriter({ environment, keys })
  const ownHashes = new Set<string>()
  let snapshot: Snapshot = emptySnapshot
  let outcomes = createOutcomes(null)
  let isOpen = false
  let opened: Moment | null = null
  let firstWholeMs = firstWholeAfterMs
  /** How often the log was opened. */
  let loads = 0
  let isClosed = false
  let proven: Moment | null = null
  /** The newest entry in the cache folder when the log was opened. */
  let cached = 0
  /** The newest entries that were applied while it is opened. */
  let unheeded: Entry[] = []
  /** What the writer is creating. */
  let expected: { entry: Entry; spilled: SpilledPacks } | null = null
  let stopped: Log['stopped'] = null
  let cancelRecheck = () => {}

  const objects = createObjects({ ...options, environment }, (last, segments) => {
    if (!ownHashes.delete(last.hash)) return
    ownHashes.clear()
    const spilled = objects.spilled.filter((info) => info.seq <= last.seq)
    checkpoints.write({ snapshot: snapshotOf(last), segments, spilled }).then(
      () => observer.log('debug', 'checkpoint_written', { project, seq: last.seq }),
      (error) => observer.log('warn', 'checkpoint_failed', { project, seq: last.seq, error }),
    )
  })

  const witness = createWitness({ environment, keys, snapshot: () => snapshot })
  const acceptance = createAcceptance({ store, keys })

  const markProven = (started: Moment) => {
    proven = laterOf(proven, started)
  }

  /** The only way in: applies an entry that follows, passes over one that was applied. */
  const take = (entry: Entry, etag: string, spilled?: SpilledPacks) => {
    if (entry.seq <= snapshot.seq) return
    apply(entry, etag, spilled)
    if (isOpen) void cache?.writeEntry(entry.seq, entry.bytes)
    else unheeded = [...unheeded, entry].slice(-cachedEntries)
  }

  /** Applies an entry as it was found: reads meet their own replica's before its creation is answered. */
  const takeFound = (seq: number, { body, etag }: StoredObject) => {
    const isOwn = expected?.entry.seq === seq && body.equals(expected.entry.bytes)
    if (expected && isOwn) take(expected.entry, etag, expected.spilled)
    else take(decodeEntry(seq, body), etag)
  }

  /** What the cache folder held when the log was opened is evidence until it was compared: nothing takes its place before. */
  const cacheUnheeded = () => {
    for (const { seq, bytes } of unheeded.splice(0)) void cache?.writeEntry(seq, bytes)
  }

  const apply = (entry: Entry, etag: string, spilled?: SpilledPacks) => {
    snapshot = follow(snapshot, entry)
    objects.add(entry, spilled)
    outcomes.add(entry)
    witness.applied({ seq: entry.seq, hash: entry.hash, etag })
  }

  const fetchEntry = async (seq: number): Promise<StoredObject> => {
    const object = await store.get(keys.entry(seq), { timeoutMs: storeTimeoutMs })
    if (object === null || object === 'not-modified') {
      throw new LogViolation(`entry ${seq} is absent, though a later one is there`, seq)
    }
    return object
  }

  /** Fetches and applies entries up to one that a list has shown; a list may miss one beside a busy writer, a GET may not. */
  const fetchUpTo = async (last: number) => {
    while (snapshot.seq < last) {
      const from = snapshot.seq + 1
      const count = Math.min(4 * fetchAtOnce, last - from + 1)
      const seqs = Array.from({ length: count }, (_, at) => from + at)
      const fetched = await mapParallel(seqs, fetchAtOnce, fetchEntry)
      fetched.forEach((object, at) => {
        takeFound(from + at, object)
      })
    }
  }

  /** Follows the log to its last entry by lists; a list that began after a read arrived proves what it ends with. */
  const followByList = async (afterSeq: number): Promise<void> => {
    const startAfter = afterSeq > 0 ? keys.entry(afterSeq) : undefined
    await followPages(await listEntries(startAfter))
  }

  const listEntries = async (startAfter: string | undefined): Promise<EntryPage> => {
    const { objects: listed, next } = await store.list({
      prefix: keys.logPrefix,
      ...(startAfter !== undefined && { startAfter }),
      limit: listPage,
      timeoutMs: storeTimeoutMs,
    })
    return { seqs: listed.map(({ key }) => keys.parseEntry(key) ?? 0), next }
  }

  const followPages = async (first: EntryPage): Promise<void> => {
    let page = first
    for (;;) {
      await fetchUpTo(Math.max(0, ...page.seqs))
      if (page.next === null) return
      page = await listEntries(page.next)
    }
  }

  const probe = async (late: Promise<void>): Promise<void> => {
    const started = momentOf(clock)
    const { seq } = snapshot
    const finished = new AbortController()
    let isHedged = false
    const byGet = async () => {
      const [first, more] = slotsBeforeList
      // What is being created here may well be found: the slot behind it is looked at in the same turn.
      for (const slots of [expected ? first + 1 : first, more]) {
        const next = snapshot.seq + 1
        const options = { timeoutMs: storeTimeoutMs, signal: finished.signal }
        const seqs = Array.from({ length: slots }, (_, at) => next + at)
        const found = await Promise.all(seqs.map((seq) => store.get(keys.entry(seq), options)))
        for (const [at, object] of found.entries()) {
          // Nothing stood behind it when that was seen, which was after the probe began.
          if (object === null || object === 'not-modified') return
          takeFound(next + at, object)
        }
        // What this replica created since the probe began was the tip when it was created.
        if (proven && proven.monotonicMs >= started.monotonicMs) return
      }
      await followByList(snapshot.seq)
    }
    const byList = async () => {
      await late
      isHedged = true
      await followByList(Math.max(0, seq - 1))
    }
    try {
      await firstToSucceed([byGet(), byList()])
    } finally {
      if (isHedged) finished.abort(probeEnded)
    }
    markProven(started)
  }

  const unavailable = (cause?: unknown) =>
    new ServiceError('store_unavailable', 'the bucket did not answer in time', { cause })

  const freshness = createFreshness({
    clock,
    observer,
    probe: (late) => guarded(() => probe(late)),
    waitMs: storeTimeoutMs,
    tooLate: unavailable,
  })

  /** Opens from the newest checkpoint, or from entry 1. */
  const load = single(async () => {
    if (isOpen) return
    loads++
    forget()
    cached = (await cache?.entries())?.at(-1) ?? 0
    const started = momentOf(clock)
    const checkpoint = await findCheckpoint({ environment, keys })
    if (checkpoint) {
      snapshot = checkpoint.snapshot
      objects.restore(checkpoint.segments, checkpoint.spilled)
      outcomes = createOutcomes(() => loadOutcomes({ environment, keys }, checkpoint.segments))
      checkpoints.known(checkpoint.segments)
      witness.applied({ seq: snapshot.seq, hash: snapshot.hash as string, etag: '' })
    }
    if (!(await followBesideCache())) await heedCache()
    isOpen = true
    cacheUnheeded()
    opened = momentOf(clock)
    firstWholeMs = firstWholeAfterMs + environment.random.fraction() * firstWholeSpreadMs
    markProven(started)
    witness.seen(started, checkpoint === null)
  })

  /** What the cache folder holds behind a checkpoint, if its newest entry is the store's: so are those before it, by their hashes. */
  const findCached = async (): Promise<{ entries: Entry[]; etag: string } | null> => {
    const count = cached - snapshot.seq
    if (count <= 0 || count > cachedEntries) return null
    const seqs = Array.from({ length: count }, (_, at) => snapshot.seq + 1 + at)
    const [object, ...kept] = await Promise.all([
      store.get(keys.entry(cached), { timeoutMs: storeTimeoutMs }),
      ...seqs.map((seq) => cache?.readEntry(seq)),
    ])
    const entries = decodeChain(snapshot, kept)
    if (object === null || object === 'not-modified') return null
    if (entries?.at(-1)?.hash !== sha256(object.body)) return null
    return { entries, etag: object.etag }
  }

  /** Follows the log to its end, without asking for entries that the cache folder holds. @returns whether it holds what the store does */
  const followBesideCache = async (): Promise<boolean> => {
    const startAfter = snapshot.seq > 0 ? keys.entry(snapshot.seq) : undefined
    const [found, page] = await Promise.all([findCached(), listEntries(startAfter)])
    // Of a log with gaps nothing is taken for granted.
    const right = found?.entries.every(({ seq }) => page.seqs.includes(seq)) ? found : null
    for (const entry of right?.entries ?? []) {
      apply(entry, entry.seq === cached && right ? right.etag : '')
    }
    await followPages(page)
    return right !== null
  }

  /** A cache folder that knows more than the store, or something else, is evidence, until a person has accepted the log without it. */
  const heedCache = async () => {
    try {
      await compareCache()
    } catch (error) {
      if (!isViolation(error) || !(await acceptance.isAbove(cached))) throw error
      observer.log('warn', 'restore_accepted', { project, applied: cached })
    }
  }

  /** Nothing of it is used or thrown away. */
  const compareCache = async () => {
    const newest = cached
    if (newest === 0) return
    // Another process that shares the folder may have been faster; an entry is in the log before it is in a cache.
    if (newest > snapshot.seq) await followByList(snapshot.seq)
    if (newest > snapshot.seq) {
      throw new LogViolation(
        `the cache folder holds entry ${newest}, the log ends at ${snapshot.seq}: the bucket lost entries`,
        snapshot.seq + 1,
      )
    }
    const kept = await cache?.readEntry(newest)
    if (!kept || !isEntry(newest, kept)) return
    const there = await fetchEntry(newest)
    if (sha256(there.body) !== sha256(kept)) {
      throw new LogViolation(`entry ${newest} is not the one that the cache folder holds`, newest)
    }
  }

  const forget = () => {
    snapshot = emptySnapshot
    unheeded = []
    expected = null
    outcomes = createOutcomes(null)
    objects.clear()
    witness.clear()
    proven = null
  }

  const stoppedError = () => {
    const { reason: problem = '', object = '' } = stopped ?? {}
    const told = inWords({ object, problem, remedy: orWithout })
    return new ServiceError('project_stopped', `the project is stopped: ${told}`, {
      data: { project },
    })
  }

  const stop: Log['stop'] = (reason, seq) => {
    if (!stopped) {
      const object = keys.entry(seq)
      stopped = { reason, object, sinceMs: clock.nowMs(), applied: Math.max(snapshot.seq, cached) }
      observer.log('error', 'project_stopped', { project, reason, object, remedy: orWithout })
      options.onStopped()
      cancelRecheck = clock.schedule(recheckMs, recheck)
    }
    return stoppedError()
  }

  /** Runs what looks at the store; what cannot be stops the project. */
  const guarded = async <Result>(work: () => Promise<Result>): Promise<Result> => {
    let result: Result
    try {
      result = await work()
    } catch (error) {
      throw isViolation(error) ? stop(error.message, error.seq ?? snapshot.seq + 1) : error
    }
    // Another look may have stopped the project meanwhile.
    if (stopped) throw stoppedError()
    return result
  }

  /** Sees that the log is what this replica applied, or that a person accepted it without that: then it is opened anew. */
  const lookAgain = async () => {
    if (!isOpen) return load()
    try {
      await witness.lookWhole()
      await witness.compare()
      await followByList(snapshot.seq)
    } catch (error) {
      const applied = snapshot.seq
      if (!isViolation(error) || !(await acceptance.isAbove(applied))) throw error
      observer.log('warn', 'restore_accepted', { project, applied })
      isOpen = false
      await load()
    }
  }

  /** Goes on where that may be; else waits for a person, and looks again. */
  const recheck = () => {
    lookAgain().then(
      () => {
        observer.log('info', 'project_resumed', { project, seq: snapshot.seq })
        stopped = null
        options.onStopped()
      },
      () => {
        if (!isClosed) cancelRecheck = clock.schedule(recheckMs, recheck)
      },
    )
  }

  const open = async (): Promise<void> => {
    if (stopped) throw stoppedError()
    if (!isOpen) await guarded(load)
  }

  const isWholeDue = () =>
    witness.wholeAgeMs() >= wholeMaxAgeMs && ageMsOf(clock, opened) >= firstWholeMs

  /** One log after the other: nobody waits for it. */
  const lookWholeInTurn = single(() =>
    environment.looksInTurn(async () => {
      if (!isClosed) await witness.lookWhole()
    }),
  )

  const isLookDue = () => witness.ageMs() >= witnessAheadMs || isWholeDue()

  /** Waits for a look of the witness where the last is too old; begins one ahead of time, so that few wait. */
  const watch = async (): Promise<void> => {
    const ageMs = witness.ageMs()
    if (ageMs >= witnessMaxAgeMs) await guarded(witness.look)
    else if (ageMs >= witnessAheadMs) inBackground(witness.look)
    if (isWholeDue()) inBackground(lookWholeInTurn)
  }

  /** A failure to look is no news to anybody: whoever needs the look waits for it and is told. */
  const inBackground = (work: () => Promise<void>) => {
    guarded(work).catch(() => {})
  }

  return {
    get snapshot() {
      return snapshot
    },
    objects,
    get outcomes() {
      return outcomes
    },
    get stopped() {
      return stopped
    },
    ageMs: () => ageMsOf(clock, proven),
    async prove() {
      const before = loads
      if (!isOpen || stopped) await open()
      // A log that was opened since has just been looked at.
      if (loads === before) await freshness.fresh()
      if (stopped) throw stoppedError()
      if (isLookDue()) await watch()
    },
    open,
    findLastExisting: (from) => guarded(() => findLastExisting(fetchEntry, from)),
    async witness() {
      await open()
      await watch()
    },
    expect(entry, spilled) {
      freshness.part()
      const one = { entry, spilled }
      expected = one
      return () => {
        if (expected === one) expected = null
      }
    },
    won(entry, created, spilled) {
      ownHashes.add(entry.hash)
      take(entry, created.etag, spilled)
      markProven(created.started)
      // Its slot was empty when that began: for whoever came before, this state is the newest.
      freshness.proven(created.started.monotonicMs)
    },
    async lost(seq, object) {
      await guarded(async () => take(decodeEntry(seq, object.body), object.etag))
    },
    stop,
    close() {
      isClosed = true
      cancelRecheck()
    },
  }
}

/** Whether bytes are an entry at all: a damaged file tells nothing of the store. */
function isEntry(seq: number, bytes: Buffer): boolean {
  try {
    return decodeEntry(seq, bytes).seq === seq
  } catch {
    return false
  }
}

/** @returns entries that follow a snapshot, or null where one is absent, damaged or does not follow the one before */
function decodeChain(snapshot: Snapshot, all: readonly (Buffer | null | undefined)[]) {
  const entries: Entry[] = []
  try {
    let last = snapshot
    for (const bytes of all) {
      if (!bytes) return null
      const entry = decodeEntry(last.seq + 1, bytes)
      last = follow(last, entry)
      entries.push(entry)
    }
    return entries
  } catch (error) {
    if (error instanceof EntryError) return null
    throw error
  }
}

/** Whether the store has shown what cannot be. */
function isViolation(error: unknown): error is LogViolation | EntryError {
  return error instanceof LogViolation || error instanceof EntryError
}

/** The first that succeeds; where none does, the error of the first. A later failure is nobody's. */
async function firstToSucceed(attempts: Promise<void>[]): Promise<void> {
  try {
    await Promise.any(attempts)
  } catch (error) {
    throw error instanceof AggregateError ? error.errors[0] : error
  }
}

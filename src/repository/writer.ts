/**
 * Writes of one project: queued, evaluated together, and landed in the next slot of the log.
 *
 * An answer that may be wrong is never given. An attempt whose answer was lost is repeated, byte for byte, until the slot itself tells
 * whose it is; a request that was answered is dropped from every later evaluation.
 */
import { type Clock, createPauses, sleep, within } from '../clock.ts'
import { isServiceError, ServiceError } from '../errors.ts'
import { type StoredObject, StoreError } from '../store/store.ts'
import { type BatchRequest, type Plan, planBatch } from './batch.ts'
import type { Entry, SpilledPack } from './entry.ts'
import { type Environment, storeTimeoutMs } from './environment.ts'
import type { ProjectKeys } from './keys.ts'
import type { Log } from './log.ts'
import { type Moment, momentOf } from './moment.ts'
import { createDeferred } from './promises.ts'
import type { Outcome, ProjectName, WriteRequest } from './repository.ts'

const batchMaxRequests = 64
const batchMaxBytes = 8 * 1024 * 1024
export const queueMaxRequests = 512
const lockWaitMs = 2_000
const lockSkipMs = 10_000
/** A lock is kept from batch to batch for so long, so that it is not handed over for every entry. */
const lockHoldMs = 50
/** So long a lock that others want is kept for clients that were just answered, and will be back. */
const lingerMs = 3
/** As long as half a create takes those are waited for whom the last one answered, for a whole one is saved if they come; at most so long. */
const gatherShare = 0.5
const gatherMostMs = 50
/** So many together are enough. */
const gatherUpTo = 16
/** Whoever has not looked for so long may have far to go. */
const farBehindMs = 1_000
/** After losing a slot a writer looks before it creates, for so long. */
const rivalryMs = 1_000
const packTimeoutMs = 4 * storeTimeoutMs
/** A write that the store is silent about for so long is sent again beside it: its connection may be dead. */
const silentMs = 1_000
/** A pack takes its time; slower than so many bytes a millisecond it counts as silent. */
const slowBytesPerMs = 1_000

export interface Writer {
  /** Queues a request. @throws as `Repositories.write` */
  write(request: WriteRequest): Promise<Outcome>
  /** Requests that wait or are being written. */
  readonly queued: number
}

interface HeldLock {
  sinceMs: number
  /** Whether others want it. */
  contended: boolean
  release(): Promise<void>
}

interface Waiting extends BatchRequest {
  /** An attempt that holds it was sent, and may have landed or may yet. */
  isExposed: boolean
  answer(outcome: Outcome): void
  fail(error: unknown): void
}

/** Makes the writer of one project. */
export function createWriter(options: {
  environment: Environment
  project: ProjectName
  keys: ProjectKeys
  log: Log
}): Writer {
  const { environment, project, keys, log } = options
  const { store, lock, clock, random, observer, settings } = environment
  const queue: Waiting[] = []
  let busy = 0
  let isRunning = false
  let skipLockUntilMs = 0
  let rivalUntilMs = 0
  let held: HeldLock | null = null
  /** How many were answered with the last batch, or waited then. */
  let company = 0
  /** How long the last create took. */
  let createMs = 0
  /** Until then it is worth a wait that they come back. */
  let backUntilMs = 0
  let onQueued = () => {}

  const enqueue = (request: WriteRequest): Promise<Outcome> => {
    const { promise, resolve, reject } = createDeferred<Outcome>()
    const settle = () => {
      waiting.isAnswered = true
      cancelDeadline()
    }
    const waiting: Waiting = {
      request,
      blobs: request.blobs ?? new WeakMap(),
      isAnswered: false,
      isExposed: false,
      answer(outcome) {
        if (waiting.isAnswered) return
        settle()
        resolve(outcome)
      },
      fail(error) {
        if (waiting.isAnswered) return
        settle()
        reject(error)
      },
    }
    const cancelDeadline = clock.schedule(request.timeoutMs, () => {
      waiting.fail(undecided(waiting))
      const at = queue.indexOf(waiting)
      if (at >= 0) queue.splice(at, 1)
    })
    queue.push(waiting)
    onQueued()
    if (!isRunning) void run()
    return promise
  }

  /** What somebody is told who cannot be told the outcome. An earlier request with the same key may still land. */
  const undecided = ({ isExposed, request }: Waiting, cause?: unknown): ServiceError =>
    isExposed || request.idempotency
      ? new ServiceError(
          'outcome_unknown',
          `the write to project ${project} may have taken effect, or may yet: the bucket did not say in time`,
          { cause },
        )
      : new ServiceError('not_written', `nothing was written to project ${project} in time`, {
          cause,
        })

  /** Takes what travels together next: creates and deletes by themselves, others in numbers. */
  const take = (): Waiting[] => {
    const batch: Waiting[] = []
    let sizeBytes = 0
    for (const waiting of queue) {
      if (waiting.request.kind !== 'commit' && batch.length > 0) break
      sizeBytes += waiting.request.sizeBytes
      if (batch.length > 0 && sizeBytes > batchMaxBytes) break
      batch.push(waiting)
      if (waiting.request.kind !== 'commit' || batch.length === batchMaxRequests) break
    }
    queue.splice(0, batch.length)
    return batch
  }

  const run = async () => {
    isRunning = true
    try {
      // Requests that arrive in the same turn share the first batch.
      await null
      while (queue.length > 0) {
        if (held === null) await comeCloser()
        held ??= await takeLock()
        await gather()
        const batch = take()
        busy = batch.length
        await commit(batch)
        busy = 0
        company = Math.min(batch.length + queue.length, gatherUpTo)
        backUntilMs = clock.monotonicMs() + Math.min(gatherMostMs, createMs * gatherShare)
        await keepOrGiveBack()
      }
    } finally {
      busy = 0
      isRunning = false
      await giveBack()
    }
  }

  /** Waits for clients that were just answered and will be back: with those who wait already they need one entry, not two. */
  const gather = async () => {
    const limitMs = backUntilMs - clock.monotonicMs()
    if (queue.length >= company || limitMs <= 0) return
    const { promise, resolve } = createDeferred<void>()
    onQueued = () => {
      if (queue.length >= company) resolve()
    }
    await within(clock, limitMs, promise, () => {})
    // In a busy process the time is over before what has arrived was looked at.
    if (queue.length < company) await rest()
    onQueued = () => {}
  }

  /** Keeps a lock that others want for some batches, and a moment for clients that were just answered. */
  const keepOrGiveBack = async () => {
    if (!held) return
    const isOver = () => held !== null && clock.monotonicMs() - held.sinceMs > lockHoldMs
    if (held.contended && queue.length === 0 && !isOver()) await sleep(clock, lingerMs)
    if (queue.length === 0 || isOver()) await giveBack()
  }

  const giveBack = async () => {
    const { release } = held ?? {}
    held = null
    await release?.()
  }

  /** Whoever has far to go in the log goes before it keeps others from writing. What fails here fails once more where it is told. */
  const comeCloser = async () => {
    if (log.ageMs() > farBehindMs) await log.prove().catch(() => {})
  }

  /** Takes the advisory lock where it helps. @returns null to go on without it */
  const takeLock = async (): Promise<HeldLock | null> => {
    const startedMs = clock.monotonicMs()
    if (startedMs < skipLockUntilMs) {
      observer.count('lock_skipped_total')
      return null
    }
    const answer = await lock.acquire(project, { waitMs: lockWaitMs })
    observer.record('lock_wait_seconds', (clock.monotonicMs() - startedMs) / 1000)
    if (answer.result === 'held') {
      const sinceMs = clock.monotonicMs()
      if (answer.contended) rivalUntilMs = sinceMs + rivalryMs
      return { sinceMs, contended: answer.contended, release: () => answer.release() }
    }
    if (answer.result === 'busy') skipLockUntilMs = clock.monotonicMs() + lockSkipMs
    observer.count('lock_skipped_total')
    return null
  }

  /** Brings a batch to its end: every request of it is answered when this returns. */
  const commit = async (batch: Waiting[]): Promise<void> => {
    const startedMs = clock.monotonicMs()
    const pause = createPauses(environment)
    let live = batch
    for (;;) {
      live = live.filter(({ isAnswered }) => !isAnswered)
      if (live.length === 0) return
      try {
        await prepare()
        const plan = await planBatch({
          log,
          requests: live,
          nowMs: clock.nowMs(),
          uuid: random.uuid,
          build: settings.build,
          committer: settings.committer,
          upload,
          rest,
        })
        live = putBack(plan, live)
        if (plan.entry === null ? await settleByProof(plan) : await land(plan)) {
          observer.record('commit_seconds', (clock.monotonicMs() - startedMs) / 1000)
          if (live.length > 0) observer.record('batch_requests', live.length)
          return
        }
      } catch (error) {
        if (!isPassing(error)) {
          for (const waiting of live) {
            waiting.fail(waiting.isExposed ? undecided(waiting, error) : error)
          }
          return
        }
        await pause()
      }
    }
  }

  /** Looks at the log where it may have moved on: after idling, and beside a rival. */
  const prepare = async () => {
    const reason = environment.unfit()
    if (reason !== null) throw new ServiceError('store_unfit', reason)
    await log.witness()
    if (clock.monotonicMs() < rivalUntilMs) await log.prove()
    const { snapshot } = log
    const [from, to] = settings.formats.writes
    const { format, minWriter } = snapshot
    if (snapshot.seq > 0 && (minWriter > to || format > to || format < from)) {
      throw new ServiceError(
        'format_unsupported',
        `project ${project} has format ${format} for writers from ${minWriter}; this build writes ${from} to ${to}`,
      )
    }
  }

  const rest = () => new Promise<void>((resolve) => clock.soon(resolve))

  const upload = async (info: SpilledPack, pack: Buffer, index: Buffer) => {
    const putIndex = async () => {
      const { indexSha256, sha256 } = info
      if (indexSha256 === undefined) return
      await firstToAnswer(clock, silentMs + index.length / slowBytesPerMs, (signal) =>
        store.put(keys.checkpointIndex(sha256), index, { timeoutMs: storeTimeoutMs, signal }),
      )
    }
    const putPack = (signal: AbortSignal) =>
      store.put(keys.spilledPack(info.name), pack, { timeoutMs: packTimeoutMs, signal })
    await Promise.all([
      firstToAnswer(clock, silentMs + pack.length / slowBytesPerMs, putPack),
      // Where it is absent readers make it of the pack.
      putIndex().catch(() => {}),
    ])
  }

  /** Puts what did not fit back in front, and answers what no entry and no proof decides. */
  const putBack = (plan: Plan<Waiting>, live: Waiting[]): Waiting[] => {
    queue.unshift(...plan.left.filter(({ isAnswered }) => !isAnswered))
    for (const [waiting, verdict] of plan.verdicts) {
      if (verdict.by === 'log') waiting.answer(verdict.outcome)
      if (verdict.by === 'failure') {
        const { error } = verdict
        waiting.fail(isPassing(error) ? undecided(waiting, error) : error)
      }
    }
    return live.filter((waiting) => plan.verdicts.has(waiting))
  }

  /** Answers a batch that makes no entry, if a look that began after it arrived finds the state unchanged. */
  const settleByProof = async (plan: Plan<Waiting>): Promise<boolean> => {
    if ([...plan.verdicts.keys()].every(({ isAnswered }) => isAnswered)) return true
    await log.prove()
    if (log.snapshot !== plan.snapshot) return false
    answerAll(plan)
    return true
  }

  const answerAll = (plan: Plan<Waiting>) => {
    for (const [waiting, verdict] of plan.verdicts) {
      if (verdict.by === 'entry' || verdict.by === 'read') waiting.answer(verdict.outcome)
    }
  }

  /**
   * Creates the entry, and repeats that until the slot tells whose it is or nobody waits any more.
   * @returns true where the batch is done, false where the slot was lost and what still waits is to be evaluated again
   */
  const land = async (plan: Plan<Waiting>): Promise<boolean> => {
    const entry = plan.entry as NonNullable<typeof plan.entry>
    const forget = log.expect(entry, plan.spilled)
    try {
      return await createUntilKnown(plan, entry)
    } finally {
      forget()
    }
  }

  const createUntilKnown = async (plan: Plan<Waiting>, entry: Entry): Promise<boolean> => {
    const inEntry = [...plan.verdicts].filter(([, { by }]) => by === 'entry').map(([who]) => who)
    const expose = (isExposed: boolean) => {
      for (const waiting of inEntry) waiting.isExposed = isExposed
    }
    const someWait = () => [...plan.verdicts.keys()].some(({ isAnswered }) => !isAnswered)
    const pause = createPauses(environment)
    const first = momentOf(clock)
    let isAmbiguous = false

    while (someWait()) {
      // Who was told "not written" must not be written now: evaluated again without them.
      if (!isAmbiguous && inEntry.some(({ isAnswered }) => isAnswered)) return false
      const started = momentOf(clock)
      expose(true)
      const attempt = await attemptCreate(entry.seq, entry.bytes, () => {
        isAmbiguous = true
      })
      if (attempt.result === 'created') return win(plan, attempt.etag, started)
      if (attempt.result === 'exists') {
        const object = await readSlot(entry.seq, someWait)
        if (object === 'unread') return true
        if (object === null) {
          if (!isAmbiguous) expose(false)
          throw log.stop(`slot ${entry.seq} was taken and is absent`, entry.seq)
        }
        // Which attempt landed is not known; others may have written behind it since the first.
        if (object.body.equals(entry.bytes)) return win(plan, object.etag, first)
        expose(false)
        observer.count('commit_conflicts_total')
        rivalUntilMs = clock.monotonicMs() + rivalryMs
        await log.lost(entry.seq, object)
        return false
      }
      if (attempt.result === 'ambiguous') {
        isAmbiguous = true
        observer.count('commit_ambiguous_total')
      }
      if (!isAmbiguous) expose(false)
      await pause()
    }
    return true
  }

  /** @param onRepeat told when it is sent once more while an answer is awaited */
  const attemptCreate = async (seq: number, bytes: Buffer, onRepeat: () => void) => {
    const create = (signal: AbortSignal) =>
      store.create(keys.entry(seq), bytes, { timeoutMs: storeTimeoutMs, signal })
    try {
      return await firstToAnswer(clock, silentMs, create, onRepeat)
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      return { result: error.definite ? ('unsent' as const) : ('ambiguous' as const) }
    }
  }

  /** Reads a slot that is taken; `unread` once nobody waits any more. */
  const readSlot = async (
    seq: number,
    someWait: () => boolean,
  ): Promise<StoredObject | null | 'unread'> => {
    const pause = createPauses(environment)
    while (someWait()) {
      try {
        const object = await store.get(keys.entry(seq), { timeoutMs: storeTimeoutMs })
        if (object !== 'not-modified') return object
      } catch (error) {
        if (!(error instanceof StoreError)) throw error
      }
      await pause()
    }
    return 'unread'
  }

  const win = (plan: Plan<Waiting>, etag: string, started: Moment): true => {
    const entry = plan.entry as NonNullable<typeof plan.entry>
    observer.record('entry_bytes', entry.bytes.length)
    createMs = clock.monotonicMs() - started.monotonicMs
    // Who holds the lock has seen what the holder before it wrote, and nobody writes now.
    if (held) rivalUntilMs = 0
    log.won(entry, { etag, started }, plan.spilled)
    answerAll(plan)
    return true
  }

  return {
    write: enqueue,
    get queued() {
      return queue.length + busy
    },
  }
}

/** Failures that may be over the next time: the store's. */
function isPassing(error: unknown): boolean {
  return error instanceof StoreError || isServiceError(error, 'store_unavailable')
}

/**
 * Sends something that may be sent twice, and once more beside it whenever nothing was heard for some time: the first goes on, and
 * the last of those that repeat it. The first answer counts; a failure does once nothing else is under way.
 */
function firstToAnswer<T>(
  clock: Clock,
  afterMs: number,
  send: (signal: AbortSignal) => Promise<T>,
  onRepeat: () => void = () => {},
): Promise<T> {
  const under: AbortController[] = []
  let cancel = () => {}
  return new Promise<T>((resolve, reject) => {
    const begin = () => {
      const one = new AbortController()
      under.push(one)
      cancel = clock.schedule(afterMs, () => {
        onRepeat()
        if (under.length > 1) under.splice(1, 1)[0]?.abort(anotherWasSent)
        begin()
      })
      send(one.signal).then(resolve, (error) => {
        // What gave its place to another tells nothing.
        if (!under.includes(one)) return
        under.splice(under.indexOf(one), 1)
        cancel()
        if (under.length === 0) reject(error)
      })
    }
    begin()
  }).finally(() => {
    cancel()
    for (const one of under.splice(0)) one.abort(anotherWasSent)
  })
}

/** Without a reason of ours an abort makes an exception with its stack. */
const anotherWasSent = 'another was sent'

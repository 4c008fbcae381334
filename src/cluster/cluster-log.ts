/**
 * The log of the cluster's decisions: as a project's, one immutable object a slot, and creating it is the decision.
 */
import type { Clock, Randomness } from '../clock.ts'
import { parseRfc3339, toRfc3339 } from '../git/time.ts'
import { sha256 } from '../repository/entry.ts'
import { storeTimeoutMs } from '../repository/environment.ts'
import { insist, undecided } from '../repository/insist.ts'
import type { CallOptions, Store } from '../store/store.ts'
import {
  ClusterLogError,
  clusterLogKey,
  decodeClusterEntry,
  encodeClusterEntry,
} from './decisions.ts'
import { type ClusterState, type Decision, emptyState, fold } from './state.ts'

export interface ClusterLog {
  /** The newest state that was applied. */
  readonly state: ClusterState
  /**
   * Reads on to the end, by a look that begins after this call.
   * @throws StoreError, or ClusterLogError where the log is broken
   */
  follow(options?: Pick<CallOptions, 'signal'>): Promise<ClusterState>
  /**
   * Decides on the newest state; asked again whenever somebody else was first.
   * @param decide what to append; null appends nothing
   * @returns the state that holds it
   * @throws as `follow`; after half a minute without an answer the decision may have been taken or not
   */
  append(decide: (state: ClusterState) => Decision | null): Promise<ClusterState>
}

const appendPatienceMs = 30_000
/** So many slots are asked for at once, at most: a new process has the whole log to read. */
const aheadMost = 16

/**
 * Opens the log; reads nothing yet.
 * @param options.build version of this program
 */
export function createClusterLog(options: {
  store: Store
  clock: Clock
  random: Randomness
  build: string
}): ClusterLog {
  const { store, clock, random, build } = options
  let state = emptyState
  let hash: string | null = null
  let atMs = 0
  let queue: Promise<unknown> = Promise.resolve()

  /** Applies the entry that follows. */
  const take = (bytes: Buffer) => {
    const seq = state.seq + 1
    const entry = decodeClusterEntry(seq, bytes)
    if (entry.previous !== hash) {
      throw new ClusterLogError(
        `entry ${seq} of the cluster log does not follow the one before it: the bucket was changed`,
        seq,
      )
    }
    state = fold(state, entry)
    hash = sha256(bytes)
    atMs = Math.max(atMs, parseRfc3339(entry.at) ?? 0)
  }

  const read = async (seq: number, call: Pick<CallOptions, 'signal'>): Promise<Buffer | null> => {
    const object = await store.get(clusterLogKey(seq), { ...call, timeoutMs: storeTimeoutMs })
    return object === null || object === 'not-modified' ? null : object.body
  }

  const followNow = async (call: Pick<CallOptions, 'signal'>) => {
    for (let ahead = 1; ; ahead = Math.min(2 * ahead, aheadMost)) {
      const seqs = Array.from({ length: ahead }, (_, at) => state.seq + 1 + at)
      const bodies = await Promise.all(seqs.map((seq) => read(seq, call)))
      for (const body of bodies) {
        if (body === null) return state
        take(body)
      }
    }
  }

  /** One after the other: who asks must not be answered by a look that began before. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = queue.then(work)
    queue = turn.catch(() => {})
    return turn
  }

  const appendNow = async (decide: (state: ClusterState) => Decision | null) => {
    const giveUpMs = clock.monotonicMs() + appendPatienceMs
    for (;;) {
      await insist(options, giveUpMs, () => followNow({}))
      const decision = decide(state)
      if (decision === null || (await place(decision, giveUpMs))) return state
    }
  }

  /** Creates one entry, identically until the slot tells whose it is. @returns false where somebody else was first */
  const place = async (decision: Decision, giveUpMs: number): Promise<boolean> => {
    atMs = Math.max(atMs, clock.nowMs())
    const seq = state.seq + 1
    const transactionId = random.uuid()
    const at = toRfc3339(atMs)
    const bytes = encodeClusterEntry({ seq, previous: hash, transactionId, at, build, decision })
    return insist(options, giveUpMs, async () => {
      const { result } = await store.create(clusterLogKey(seq), bytes, {
        timeoutMs: storeTimeoutMs,
      })
      if (result === 'conflict') throw undecided
      if (result === 'created') {
        take(bytes)
        return true
      }
      const found = await read(seq, {})
      if (found === null) {
        throw new ClusterLogError(`slot ${seq} of the cluster log was taken and is absent`, seq)
      }
      take(found)
      return decodeClusterEntry(seq, found).transactionId === transactionId
    })
  }

  return {
    get state() {
      return state
    },
    follow: (call = {}) => inTurn(() => followNow(call)),
    append: (decide) => inTurn(() => appendNow(decide)),
  }
}

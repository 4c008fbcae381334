/**
 * A process's part in the cluster. It announces itself first and reads the cluster log second: whoever proposes a format either
 * finds the announcement, or is found in the log by the process before that is ready. Both orders of the two are safe, no clock is.
 */
import type { Clock } from '../clock.ts'
import { toRfc3339 } from '../git/time.ts'
import type { Observer } from '../observe.ts'
import { storeTimeoutMs } from '../repository/environment.ts'
import { ageMsOf, type Moment, momentOf } from '../repository/moment.ts'
import type { Store } from '../store/store.ts'
import {
  type Announcement,
  announcementKey,
  type ClusterTimes,
  encodeAnnouncement,
} from './announcement.ts'
import type { ClusterLog } from './cluster-log.ts'
import type { Formats } from './formats.ts'
import type { ClusterState } from './state.ts'

/** An announcement stays small. */
const recentTold = 32

export interface Membership {
  /**
   * Announces this process, reads the log, and goes on doing both with every heartbeat.
   * @returns the state, read after the announcement was acknowledged
   * @throws StoreError, ClusterLogError; it may be called again
   */
  join(): Promise<ClusterState>
  /** Tells from now on that this process drains. */
  drain(): void
  /** Ends the heartbeat and takes the announcement away. @throws StoreError */
  leave(): Promise<void>
}

export interface MembershipOptions {
  store: Store
  clock: Clock
  observer: Observer
  log: ClusterLog
  times: ClusterTimes
  identity: Pick<Announcement, 'replicaId' | 'role' | 'build'>
  formats: Formats
  /** Projects that were asked for here, the latest first. */
  recent?: () => readonly string[]
  /** Told of each state that is newer. */
  onState?: (state: ClusterState) => void
  /** Resolves once nothing goes on that was begun on an earlier state; undefined where nothing does. */
  quiesce?: () => Promise<unknown> | undefined
}

/** Makes the part of one process; announces nothing yet. */
export function createMembership(options: MembershipOptions): Membership {
  const { store, clock, observer, log, times, identity, formats } = options
  let entries = 1
  const startedAt = toRfc3339(clock.nowMs())
  let draining = false
  let isMember = false
  let seenSeq = 0
  let toldSeq = 0
  let announced: Moment | null = null
  let isLeft = true
  let failing = false
  let cancelBeat = () => {}
  let underWay: Promise<void> = Promise.resolve()

  /** Who comes back takes another name: a removal that reaches the store late must not remove the new announcement. */
  const replicaId = () => (entries === 1 ? identity.replicaId : `${identity.replicaId}.${entries}`)

  const announce = async () => {
    const started = momentOf(clock)
    isLeft = false
    const body = encodeAnnouncement({
      ...identity,
      replicaId: replicaId(),
      ...formats,
      clusterSeq: seenSeq,
      startedAt,
      at: toRfc3339(clock.nowMs()),
      draining,
      recent: options.recent?.().slice(0, recentTold) ?? [],
    })
    await store.put(announcementKey(replicaId()), body, { timeoutMs: storeTimeoutMs })
    announced = started
  }

  /** Follows the log; what it says counts as seen once nothing older goes on. */
  const look = async (): Promise<ClusterState> => {
    const state = await log.follow()
    if (state.seq === toldSeq) return state
    options.onState?.(state)
    toldSeq = state.seq
    const seen = () => {
      seenSeq = Math.max(seenSeq, state.seq)
    }
    const quiet = options.quiesce?.()
    if (quiet === undefined) seen()
    else void quiet.then(seen)
    return state
  }

  const beat = async () => {
    try {
      // Whoever cannot read the log is alive all the same, and says how far it has seen.
      const [looked] = await Promise.allSettled([look()])
      await announce()
      if (looked.status === 'rejected') throw looked.reason
      if (failing) observer.log('info', 'announced', { replicaId: replicaId() })
      failing = false
    } catch (error) {
      if (!failing) observer.log('warn', 'announce_failed', { error })
      failing = true
    }
  }

  /** A heart that beats ahead of time, while it beats, must not go on as two: only one would stop. */
  const schedule = () => {
    cancelBeat()
    cancelBeat = clock.schedule(times.heartbeatMs, beatNow)
  }

  const beatNow = () => {
    cancelBeat()
    underWay = underWay.then(beat).then(() => {
      if (isMember) schedule()
    })
  }

  return {
    async join() {
      for (;;) {
        await announce()
        const state = await look()
        // Held back in between, it may have been taken for dead: then it has to be seen again first.
        if (ageMsOf(clock, announced) >= times.validMs / 2) continue
        await announce()
        if (!isMember) schedule()
        isMember = true
        return state
      }
    },
    drain() {
      draining = true
      if (isMember) beatNow()
    },
    async leave() {
      isMember = false
      cancelBeat()
      await underWay
      cancelBeat()
      if (isLeft) return
      await options.quiesce?.()
      await store.delete(announcementKey(replicaId()), { timeoutMs: storeTimeoutMs })
      isLeft = true
      entries++
    },
  }
}

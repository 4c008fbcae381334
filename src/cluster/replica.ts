/** A serving process in the cluster: when it may become ready, and what it does with the projects that are written to. */
import type { Clock, Randomness } from '../clock.ts'
import { ServiceError, sentence } from '../errors.ts'
import type { Identity } from '../git/objects.ts'
import type { Observer } from '../observe.ts'
import { insist } from '../repository/insist.ts'
import type { Draft, Repositories } from '../repository/repository.ts'
import type { Store } from '../store/store.ts'
import { type ClusterTimes, listAnnouncements, sweepAnnouncements } from './announcement.ts'
import { createClusterLog } from './cluster-log.ts'
import { convertDraft, createConversions } from './convert.ts'
import { createConvertingRepositories } from './converting.ts'
import { expand } from './expand.ts'
import { canHandle, formatsOf, unfitFor } from './formats.ts'
import { createMembership } from './membership.ts'
import type { Migration } from './migration.ts'
import { mayHave, permit } from './permit.ts'
import { conversionOf, newFormatOf } from './state.ts'

export interface Replica {
  /**
   * Announces this process, reads what was decided, and expands the store for this build where nobody has yet; tries until it may
   * serve, or has been out of range for too long.
   * @param tell told what it waits for, when that changes
   * @returns `ready`; `out-of-range` where this build cannot handle what is there; `ended` by the signal
   */
  enter(options: {
    signal: AbortSignal
    tell: (waitsFor: string) => void
  }): Promise<'ready' | 'out-of-range' | 'ended'>
  /** Repositories that convert a project before a write, while the cluster converts; the announcement tells which are stopped. */
  converting(repositories: Repositories): Repositories
  /** The format of projects that are created now. */
  newFormat(): number
  /**
   * Brings a project that was away while the cluster expanded and converted to where the others are.
   * @throws format_unsupported where only a newer build can
   */
  settle(draft: Draft): Promise<void>
  /**
   * Asks whether a single project may be converted, and makes sure that it may stay so.
   * @returns null, or a sentence that says why not @throws StoreError, ClusterLogError
   */
  permit(format: number): Promise<string | null>
  /** Projects that the other replicas are asked for, the most wanted first. @throws StoreError */
  wanted(): Promise<string[]>
  /** Tells the others that it drains. */
  drain(): void
  /** Takes the announcement away; the last thing that a process does. @throws StoreError */
  leave(): Promise<void>
}

export interface ReplicaOptions {
  store: Store
  clock: Clock
  random: Randomness
  observer: Observer
  migrations: readonly Migration[]
  times: ClusterTimes
  replicaId: string
  /** Version of this program. */
  build: string
  committer: Identity
  /** Opens repositories for a while, without a cache, that read the tail of any format. */
  open: () => Repositories
  /** Why the store must not be written to, or null. */
  unfit: string | null
}

const retryFirstMs = 100
/** A process that ends has not that long, and tries for as long as it has. */
const leaveMs = 60_000

/** Makes a replica's part; does nothing yet. */
export function createReplica(options: ReplicaOptions): Replica {
  const { store, clock, observer, migrations, times, replicaId, build } = options
  const formats = formatsOf(migrations)
  const log = createClusterLog(options)
  const conversions = createConversions(options)
  let serving: Repositories | undefined
  const membership = createMembership({
    store,
    clock,
    observer,
    log,
    times,
    identity: { replicaId, role: 'replica', build },
    formats,
    quiesce: conversions.quiet,
    stopped: () => serving?.stopped().map(({ project, applied }) => ({ project, applied })) ?? [],
    recent: () => serving?.recent() ?? [],
    onState({ seq, expanded, proposed, agreed }) {
      observer.log('info', 'cluster_state', { seq, expanded, proposed, agreed })
      const unfit = unfitFor(log.state, formats)
      // A replica that serves goes on: what it may do with each project, the project says.
      if (unfit !== null) observer.log('error', 'out_of_range', { reason: unfit })
    },
  })

  /** One try. @returns null where it may serve, else why not yet */
  const enterOnce = async (signal: AbortSignal): Promise<string | null> => {
    for (;;) {
      const state = await membership.join()
      const unfit = unfitFor(state, formats)
      if (unfit !== null) return unfit
      // A store that must not be written to cannot be expanded; what is there can be read.
      if (options.unfit !== null || state.expanded >= migrations.length) return null
      const report = await expand({ ...options, log, isOver: () => signal.aborted })
      if (report.verdict !== 'done') return report.message
      observer.log('info', 'expanded', { format: report.expanded, projects: report.projects })
      // It took a while: announced and judged anew.
    }
  }

  /** Once in the life of a process, which nobody has to wait for; the next one goes on. */
  const sweep = async () => {
    try {
      if (options.unfit !== null) return
      const gone = await sweepAnnouncements(store, times)
      if (gone.length > 0) observer.log('info', 'announcements_swept', { replicas: gone })
    } catch (error) {
      observer.log('debug', 'sweep_failed', { error })
    }
  }

  let entering: Promise<unknown> = Promise.resolve()

  const enter: Replica['enter'] = async ({ signal, tell }) => {
    let outOfRangeSinceMs: number | null = null
    let pauseMs = retryFirstMs
    while (!signal.aborted) {
      try {
        const unfit = outOfRangeSinceMs === null ? null : unfitFor(await log.follow(), formats)
        const reason = unfit ?? (await enterOnce(signal))
        if (reason === null) {
          if (signal.aborted) return 'ended'
          void sweep()
          return 'ready'
        }
        tell(reason)
        // It does not serve, so nobody has to wait for it.
        await membership.leave()
        outOfRangeSinceMs ??= clock.monotonicMs()
        if (clock.monotonicMs() - outOfRangeSinceMs >= times.patienceMs) return 'out-of-range'
        pauseMs = times.heartbeatMs
      } catch (error) {
        tell(sentence(error))
        pauseMs = Math.min(2 * pauseMs, times.heartbeatMs)
      }
      await pause(clock, pauseMs, signal)
    }
    return 'ended'
  }

  const newFormat = () => newFormatOf(log.state, formats.writes[0])

  return {
    enter(given) {
      const entered = enter(given)
      entering = entered
      return entered
    },
    converting(repositories) {
      serving = repositories
      return createConvertingRepositories({
        repositories,
        conversions,
        clock,
        observer,
        target() {
          const format = conversionOf(log.state)
          return format !== null && canHandle(formats, format) ? format : null
        },
      })
    },
    newFormat,
    async settle(draft) {
      const { format } = draft
      if (format > migrations.length) {
        const reason = `it was deleted in format ${format}, this build knows formats up to ${migrations.length}`
        throw new ServiceError('format_unsupported', reason)
      }
      for (const migration of migrations)
        if (migration.format > format) await migration.expand(draft)
      if (!mayHave(log.state, format)) await convertDraft(draft, migrations, newFormat())
    },
    permit: (format) => permit({ log, store, times, formats, format }),
    async wanted() {
      const others = (await listAnnouncements(store)).filter(
        ({ role, ageMs }) => role === 'replica' && ageMs < times.validMs,
      )
      const ranked = others.flatMap(({ recent }) => recent.map((name, rank) => ({ name, rank })))
      ranked.sort((one, other) => one.rank - other.rank)
      return [...new Set(ranked.map(({ name }) => name))]
    },
    drain: membership.drain,
    async leave() {
      await entering
      await insist(options, clock.monotonicMs() + leaveMs, membership.leave)
    },
  }
}

function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      cancel()
      signal.removeEventListener('abort', done)
      resolve()
    }
    const cancel = clock.schedule(delayMs, done)
    signal.addEventListener('abort', done)
    if (signal.aborted) done()
  })
}

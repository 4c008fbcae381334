/** Replicas and migrations of several builds on one file store, in one process. */
import { join } from 'node:path'
import {
  type Announcement,
  announcementKey,
  type ClusterTimes,
  encodeAnnouncement,
} from '../../src/cluster/announcement.ts'
import { createClusterLog } from '../../src/cluster/cluster-log.ts'
import { type ConvergeOptions, converge } from '../../src/cluster/converge.ts'
import { createConversions } from '../../src/cluster/convert.ts'
import { expand, type Runner } from '../../src/cluster/expand.ts'
import { formatsOf } from '../../src/cluster/formats.ts'
import { createMembership } from '../../src/cluster/membership.ts'
import { createReplica, type Replica } from '../../src/cluster/replica.ts'
import { type Observer, silent } from '../../src/observe.ts'
import { createRepositories } from '../../src/repository/repositories.ts'
import type { Repositories } from '../../src/repository/repository.ts'
import { openFileStore } from '../../src/store/file.ts'
import type { Store } from '../../src/store/store.ts'
import { systemClock, systemRandomness } from '../../src/system-clock.ts'
import { createFaultyStore, type FaultyStore } from '../support/faulty-store.ts'
import { makeFolder, removeFolder } from '../support/processes.ts'
import { committer, projectName, replicaOptions } from '../support/repositories.ts'
import { builds } from './fixtures.ts'

export type Build = keyof typeof builds

/** Quick, and far from what a slow machine takes by itself. */
export const times: ClusterTimes = {
  heartbeatMs: 20,
  validMs: 2_000,
  blocksMs: 3_600_000,
  patienceMs: 1_000,
}

export interface Member extends Replica {
  readonly id: string
  readonly repositories: Repositories
  /** What it waits for, as it was told. */
  readonly told: string[]
  /** Log events. */
  readonly events: string[]
  /** Enters the cluster. */
  start(): ReturnType<Replica['enter']>
  stop(): Promise<void>
}

export interface ClusterBench {
  /** What all of them share; to be disturbed. */
  readonly store: FaultyStore
  /** How much older an announcement shall look, milliseconds, by replica. */
  readonly older: Map<string, number>
  member(build: Build, options?: { unfit?: string; times?: ClusterTimes }): Member
  runner(build: Build, changed?: Partial<Runner>): Runner
  expand(build: Build, changed?: Partial<Runner>): ReturnType<typeof expand>
  to(build: Build, format: number, changed?: Partial<ConvergeOptions>): ReturnType<typeof converge>
  /** Writes an announcement of somebody who is not here. */
  announce(replicaId: string, build: Build, changed?: Partial<Announcement>): Promise<void>
  repositories(build: Build): Repositories
  create(project: string, format: number, files?: Record<string, string>): Promise<void>
  formatOf(project: string): Promise<number>
  close(): Promise<void>
}

const call = { timeoutMs: 5_000 }

export async function openClusterBench(): Promise<ClusterBench> {
  const folder = makeFolder('cluster')
  const older = new Map<string, number>()
  const store = createFaultyStore(aging(await openFileStore(join(folder, 'store')), older))
  const closers: (() => Promise<unknown>)[] = []
  let ids = 0

  const make = (on: Store, build: Build, reads?: readonly [number, number]) => {
    const formats = formatsOf(builds[build])
    const { settings } = replicaOptions(on)
    return createRepositories(
      replicaOptions(on, {
        settings: { ...settings, formats: { ...formats, ...(reads && { reads }) } },
      }),
    )
  }
  const passing = (build: Build) => make(store, build, [1, Number.MAX_SAFE_INTEGER])

  const runTo = async (build: Build, format: number, changed: Partial<ConvergeOptions>) => {
    const runner = bench.runner(build, changed)
    const conversions = createConversions(runner)
    const self = `job-${++ids}`
    const membership = createMembership({
      store,
      clock: systemClock,
      observer: silent,
      log: runner.log,
      times: changed.times ?? times,
      identity: { replicaId: self, role: 'migrate', build: '0' },
      formats: formatsOf(builds[build]),
      quiesce: conversions.quiet,
    })
    if (!changed.dryRun) await membership.join()
    try {
      return await converge({
        ...runner,
        store,
        clock: systemClock,
        times,
        conversions,
        self,
        format,
        forget: [],
        acceptIrreversible: false,
        rate: 1_000,
        waitMs: 0,
        ...changed,
      })
    } finally {
      await membership.leave()
    }
  }

  const bench: ClusterBench = {
    store,
    older,
    repositories(build) {
      const repositories = make(store, build)
      closers.push(() => repositories.close())
      return repositories
    },
    member(build, options = {}) {
      const id = `replica-${++ids}`
      const told: string[] = []
      const events: string[] = []
      const observer: Observer = { ...silent, log: (_, event) => void events.push(event) }
      const ended = new AbortController()
      const replica = createReplica({
        store,
        clock: systemClock,
        random: systemRandomness,
        observer,
        migrations: builds[build],
        times: options.times ?? times,
        replicaId: id,
        build: `0.${build}.0`,
        committer,
        open: () => passing(build),
        unfit: options.unfit ?? null,
      })
      const repositories = replica.converting(bench.repositories(build))
      const member: Member = {
        ...replica,
        id,
        repositories,
        told,
        events,
        start: () => replica.enter({ signal: ended.signal, tell: (text) => told.push(text) }),
        async stop() {
          ended.abort()
          await replica.leave()
        },
      }
      closers.push(member.stop)
      return member
    },
    runner: (build, changed = {}) => ({
      log: createClusterLog({ store, clock: systemClock, random: systemRandomness, build: '0' }),
      migrations: builds[build],
      open: () => passing(build),
      committer,
      unfit: null,
      ...changed,
    }),
    expand: (build, changed) => expand(bench.runner(build, changed)),
    to(build, format, changed = {}) {
      const report = runTo(build, format, changed)
      // One that a test did not wait for has to end before its store does.
      closers.push(() => report.catch(() => {}))
      return report
    },
    async announce(replicaId, build, changed = {}) {
      const at = '2026-01-01T00:00:00.000Z'
      const announcement: Announcement = {
        replicaId,
        role: 'replica',
        build: `0.${build}.0`,
        ...formatsOf(builds[build]),
        clusterSeq: 1_000,
        startedAt: at,
        at,
        draining: false,
        recent: [],
        ...changed,
      }
      await store.put(announcementKey(replicaId), encodeAnnouncement(announcement), call)
    },
    async create(project, format, files = { 'a.yaml': 'a' }) {
      const build = format as Build
      const repositories = make(store, build)
      await repositories.write(projectName(project), {
        kind: 'create',
        async evaluate(draft) {
          const entries = Object.entries(files).map(
            ([name, content]) =>
              [name, { mode: '100644', oid: draft.writeBlob(Buffer.from(content)) }] as const,
          )
          draft.begin({ format, defaultBranch: 'main' })
          const commit = draft.commit('main', { tree: draft.writeTree(entries), message: 'new' })
          return { status: 201, commit }
        },
        ...request,
      })
      await repositories.close()
    },
    async formatOf(project) {
      const repositories = passing(4)
      const { value } = await repositories.read(projectName(project), async (view) => view.format, {
        timeoutMs: 5_000,
      })
      await repositories.close()
      return value
    },
    async close() {
      for (const close of closers.reverse()) await close()
      await store.close()
      removeFolder(folder)
    },
  }
  return bench
}

export const request = { principal: '', author: committer, sizeBytes: 0, timeoutMs: 5_000 }

/** Makes objects look older than they are. */
function aging(store: Store, older: ReadonlyMap<string, number>): Store {
  return {
    ...store,
    async get(key, options) {
      const found = await store.get(key, options)
      if (found === null || found === 'not-modified') return found
      const [, id = ''] = /^cluster\/replicas\/(.*)\.json$/.exec(key) ?? []
      return { ...found, lastModifiedMs: found.lastModifiedMs - (older.get(id) ?? 0) }
    },
  }
}

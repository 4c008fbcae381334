/**
 * Replicas of several builds in one cluster of a world, the migrations that run there, and what has to hold of them: no build
 * that may not is ready or writes, and a migration that says it is done is.
 */
import { branches } from '../../migrations/0001-branches.ts'
import { directoryStructure } from '../../migrations/0002-directory-structure.ts'
import { type ClusterTimes, clusterTimes } from '../../src/cluster/announcement.ts'
import { createClusterLog } from '../../src/cluster/cluster-log.ts'
import { converge } from '../../src/cluster/converge.ts'
import { createConversions } from '../../src/cluster/convert.ts'
import { decodeClusterEntry } from '../../src/cluster/decisions.ts'
import { expand } from '../../src/cluster/expand.ts'
import { canHandle, formatsOf } from '../../src/cluster/formats.ts'
import { createMembership } from '../../src/cluster/membership.ts'
import type { Migration } from '../../src/cluster/migration.ts'
import { createReplica } from '../../src/cluster/replica.ts'
import { type ClusterState, emptyState, fold } from '../../src/cluster/state.ts'
import { decodeEntry } from '../../src/repository/entry.ts'
import { createResources } from '../../src/resources/git-resources.ts'
import { fencing } from '../fixtures/builds/extra.ts'
import { committer, repositoriesOf, type Settings } from './make.ts'
import type { MakeReplica, Parts, Replica, Replicas } from './replicas.ts'
import type { VirtualStore } from './store.ts'
import type { Actor, World } from './world.ts'

/** Builds by their number, which is the newest format that each knows. */
export type Builds = Readonly<Record<number, readonly Migration[]>>

/** This tree's own formats, and one that fences writers. */
export const builds = {
  1: [branches],
  2: [branches, directoryStructure],
  3: [branches, directoryStructure, fencing],
} as const satisfies Builds

/** Heartbeats every 15 s: an announcement is valid for longer than most of what was sent takes to land. */
export const times: ClusterTimes = clusterTimes(15)

const everyFormat = [1, Number.MAX_SAFE_INTEGER] as const

const versionOf = (build: number) => `0.${build}.0`

/** A replica's name among all others, as announcements have it. */
export const replicaIdOf = ({ name }: Actor): string => name.replace('#', '-')

function runnerOf(parts: Parts, builds: Builds, build: number) {
  const migrations = migrationsOf(builds, build)
  const formats = formatsOf(migrations)
  const settings = { build: versionOf(build), formats: { ...formats, reads: everyFormat } }
  return {
    ...parts,
    migrations,
    committer,
    unfit: null,
    build: versionOf(build),
    open: () => repositoriesOf({ ...parts, cache: null }, settings),
  }
}

function migrationsOf(builds: Builds, build: number): readonly Migration[] {
  const migrations = builds[build]
  if (!migrations) throw new Error(`no build ${build}`)
  return migrations
}

type Stale = Pick<Settings, 'staleReadsMaxSeconds'>

/** Repositories as a build opens them that serves. */
export function openAs(parts: Parts, builds: Builds, build: number, stale: Stale = {}) {
  const formats = formatsOf(migrationsOf(builds, build))
  return repositoriesOf(parts, { build: versionOf(build), formats, ...stale })
}

/** @returns what makes members of a cluster that enter it at once */
export function makeMember(world: World, builds: Builds, stale: Stale = {}): MakeReplica {
  return (parts, build) => {
    const replicaId = replicaIdOf(parts.actor)
    const replica = createReplica({ ...runnerOf(parts, builds, build), times, replicaId })
    const repositories = replica.converting(openAs(parts, builds, build, stale))
    const ended = new AbortController()
    const tell = (reason: string) => world.tell(`${parts.actor.name} waits: ${reason}`)
    return {
      repositories,
      resourcesOver: (over) =>
        createResources({
          repositories: over,
          clock: parts.clock,
          defaultBranch: 'main',
          newFormat: replica.newFormat,
          settle: replica.settle,
        }),
      entered: replica.enter({ signal: ended.signal, tell }),
      async leave() {
        ended.abort()
        replica.drain()
        await repositories.close()
        await replica.leave()
      },
    }
  }
}

export interface Cluster {
  /**
   * Runs `migrate expand` or `migrate to`, as the process of a build.
   * @returns its verdict, or `failed`
   */
  migrate(kind: 'expand' | 'to', build: number, format: number): Promise<string>
  /** The newest build that handles every format that is there, or proposed. */
  newestBuild(): number
  /** Notes it where a build has become ready that cannot handle what may be there. */
  judgeReady(replica: Replica): void
  /** Notes entries that no such build may have written. */
  judgeWriters(): void
}

/** Watches over a cluster. @param options.failed told of everything that must not be */
export function createCluster(options: {
  world: World
  store: VirtualStore
  replicas: Pick<Replicas, 'partsOf'>
  builds: Builds
  count(name: string): void
  failed(what: string): void
  /** Told of each process that begins. */
  onActor(actor: Actor): void
  /** Of processes that are gone, whose announcements nobody has to wait for. */
  gone(): readonly Actor[]
}): Cluster {
  const { world, store, builds, count, failed } = options
  let jobs = 0

  const run = async (kind: 'expand' | 'to', actor: Actor, build: number, format: number) => {
    const parts = options.replicas.partsOf(actor)
    const runner = runnerOf(parts, builds, build)
    const log = createClusterLog(runner)
    const job = { ...runner, log }
    if (kind === 'expand') return expand(job)
    const conversions = createConversions(job)
    const self = replicaIdOf(actor)
    const membership = createMembership({
      ...job,
      times,
      identity: { replicaId: self, role: 'migrate', build: versionOf(build) },
      formats: formatsOf(runner.migrations),
      quiesce: conversions.quiet,
    })
    await membership.join()
    try {
      const forget = options.gone().map(replicaIdOf)
      // A slow one leaves projects to those who write to them.
      const rate = world.chanceOf(`rate of ${actor.name}`).pick([20, 0.02])
      const settings = { acceptIrreversible: false, rate, waitMs: 0 }
      return await converge({ ...job, ...settings, times, conversions, self, format, forget })
    } finally {
      await membership.leave().catch(() => {})
    }
  }

  const handlesAll = (build: number, present: readonly number[]) =>
    present.every((format) => canHandle(formatsOf(migrationsOf(builds, build)), format))

  /** Where `migrate to` says that it is done, it is, unless somebody has decided otherwise meanwhile. */
  const judgeReached = (format: number, label: string) => {
    const { agreed, proposed } = stateOf(store)
    if (agreed?.format !== format || !agreed.reached || proposed !== null) return
    for (const [project, found] of tailsOf(store))
      if (found !== format) failed(`${label} is done, and ${project} has format ${found}`)
  }

  return {
    async migrate(kind, build, format) {
      const actor = world.createActor(`${kind}-${format}#${++jobs}`)
      options.onActor(actor)
      const label = `${actor.name} by build ${build}`
      world.tell(`${label} begins`)
      try {
        const { verdict, message } = await run(kind, actor, build, format)
        world.tell(`${label} ends ${verdict}: ${message}`)
        count(`${kind} ${verdict}`)
        if (kind === 'to' && verdict === 'done') judgeReached(format, label)
        return verdict
      } catch (error) {
        if (!(error instanceof Error)) throw error
        world.tell(`${label} fails: ${error.message}`)
        count(`${kind} failed`)
        return 'failed'
      }
    },
    newestBuild() {
      // Where nobody was ever expanded the log does not tell what projects have.
      const { formats, proposed } = stateOf(store)
      const present = [...formats, ...tailsOf(store).values()]
      // Whatever becomes of it, who cannot handle it is not ready meanwhile.
      if (proposed) present.push(proposed.format)
      const fit = Object.keys(builds)
        .map(Number)
        .filter((build) => handlesAll(build, present))
      return Math.max(...fit)
    },
    judgeReady({ actor, build }) {
      const { formats } = stateOf(store)
      if (!handlesAll(build, formats))
        failed(`${actor.name} of build ${build} became ready on formats ${formats}`)
    },
    judgeWriters() {
      const before = new Map<string, { format: number; minWriter: number }>()
      for (const { project, transaction } of entriesOf(store)) {
        const build = Number(transaction.build.split('.')[1])
        const [from, to] = formatsOf(migrationsOf(builds, build)).writes
        for (const { format, minWriter } of [before.get(project) ?? transaction, transaction])
          if (format < from || format > to || minWriter > to)
            failed(`build ${build} wrote entry ${transaction.seq} of ${project}, format ${format}`)
        before.set(project, transaction)
      }
    },
  }
}

/** What the bucket says was decided, at this instant. */
export function stateOf(store: VirtualStore): ClusterState {
  const keys = [...store.objects.keys()].filter((key) => key.startsWith('cluster/log/')).sort()
  return keys.reduce((state, key, at) => {
    const body = store.objects.get(key)?.body as Buffer
    return fold(state, decodeClusterEntry(at + 1, body))
  }, emptyState)
}

function* entriesOf(store: VirtualStore) {
  const keys = [...store.objects.keys()].filter((key) => /^projects\/.*\/log\//.test(key)).sort()
  for (const key of keys) {
    const [, project = '', seq] = /^projects\/(.*)\/log\/(\d+)/.exec(key) ?? []
    const { transaction } = decodeEntry(Number(seq), store.objects.get(key)?.body as Buffer)
    yield { project, transaction }
  }
}

/** The format of each project, as its newest entry says. */
export function tailsOf(store: VirtualStore): Map<string, number> {
  const tails = new Map<string, number>()
  for (const { project, transaction } of entriesOf(store)) tails.set(project, transaction.format)
  return tails
}

/**
 * Random histories in a virtual world: users write, replicas of three builds come and go, migrations run in both directions and
 * at once, everybody is killed between any two calls to the store. What has to hold is judged while it happens and in the end.
 */
import { type ClusterTimes, clusterTimes } from '../../src/cluster/announcement.ts'
import { createClusterLog } from '../../src/cluster/cluster-log.ts'
import { converge } from '../../src/cluster/converge.ts'
import { createConversions } from '../../src/cluster/convert.ts'
import { decodeClusterEntry } from '../../src/cluster/decisions.ts'
import { expand, type Runner } from '../../src/cluster/expand.ts'
import { canHandle, formatsOf } from '../../src/cluster/formats.ts'
import { createMembership } from '../../src/cluster/membership.ts'
import { createReplica, type Replica } from '../../src/cluster/replica.ts'
import { type ClusterState, emptyState, fold } from '../../src/cluster/state.ts'
import { ServiceError } from '../../src/errors.ts'
import { silent } from '../../src/observe.ts'
import { decodeEntry } from '../../src/repository/entry.ts'
import { createRepositories } from '../../src/repository/repositories.ts'
import type { Repositories } from '../../src/repository/repository.ts'
import { createVirtualLock } from '../simulation/lock.ts'
import { createVirtualStore, fairWeather, type VirtualStore } from '../simulation/store.ts'
import { drawWeather } from '../simulation/weather.ts'
import {
  type Actor,
  type Chance,
  createRandomness,
  createWorld,
  type World,
} from '../simulation/world.ts'
import { type Build, committer, type Family, type HistoryFile } from './history-files.ts'

/** Longer than anything that was sent takes to land. */
const times: ClusterTimes = clusterTimes(15)
const lastsMs = 900_000
/** The builds that replicas are of, for some time; those of others are replaced. Then it goes one step up or down. */
const rollouts: readonly (readonly Build[])[] = [[1], [1, 2], [2], [2], [2], [2, 3], [3]]
const rolloutMs = 200_000

interface Process {
  name: string
  build: Build
  actor: Actor
  replica: Replica
  repositories: Repositories
  isReady: boolean
}

export interface Verdict {
  failures: string[]
  story: readonly string[]
  counts: Map<string, number>
}

/** Plays one history. @param seed decides all of it */
export async function playHistory(family: Family, seed: number): Promise<Verdict> {
  const { builds } = family
  const world = createWorld(seed)
  const chance = world.chance.fork()
  const failures: string[] = []
  const counts = new Map<string, number>()
  const count = (name: string) => void counts.set(name, (counts.get(name) ?? 0) + 1)
  const store = createVirtualStore(world, fairWeather(world))
  const lock = createVirtualLock(world, 'down')
  const names = ['a', 'b', 'c']
  const running = new Map<string, Process>()
  const actors = new Map<string, Actor>()
  let processes = 0
  let isOver = false

  const newActor = (name: string) => {
    const actor = world.createActor(`${name}#${++processes}`)
    actors.set(actor.name, actor)
    return actor
  }
  const kill = (actor: Actor) => {
    if (!actor.alive) return
    actor.alive = false
    world.tell(`${actor.name} is killed`)
    count('killed')
    for (const [name, process] of running) if (process.actor === actor) running.delete(name)
  }

  const partsOf = (actor: Actor, build: Build) => {
    const parts = {
      store: store.of(actor),
      lock: lock.of(actor),
      clock: world.clockOf(actor),
      random: createRandomness(chance.fork()),
      observer: {
        ...silent,
        log(_: string, event: string, fields?: Record<string, unknown>) {
          world.tell(`${actor.name} log ${event} ${fields?.error ?? ''}`)
          count(event)
        },
      },
    }
    const make = (reads?: readonly [number, number]) =>
      createRepositories({
        ...parts,
        storeId: 'virtual',
        cache: null,
        memoryMaxBytes: 2 ** 20,
        settings: {
          build: `0.${build}.0`,
          formats: { ...formatsOf(builds[build]), ...(reads && { reads }) },
          committer,
          staleReadsMaxSeconds: 0,
        },
        unfit: () => null,
      })
    const open = () => make([1, Number.MAX_SAFE_INTEGER])
    return { ...parts, migrations: builds[build], committer, unfit: null, make, open }
  }

  const readerOf = (name: string, build: Build) => {
    const actor = newActor(name)
    return { actor, repositories: partsOf(actor, build).make() }
  }
  const reachOf = ({ actor, repositories }: Pick<Process, 'actor' | 'repositories'>) => ({
    repositories,
    clock: world.clockOf(actor),
  })

  const start = (name: string, build: Build) => {
    const actor = newActor(name)
    const parts = partsOf(actor, build)
    const replicaId = replicaIdOf(actor)
    const replica = createReplica({ ...parts, times, replicaId, build: `0.${build}.0` })
    const repositories = replica.converting(parts.make())
    const process: Process = { name, build, actor, replica, repositories, isReady: false }
    running.set(name, process)
    world.tell(`${actor.name} of build ${build} starts`)
    const { signal } = new AbortController()
    const tell = (reason: string) => world.tell(`${actor.name} waits: ${reason}`)
    void replica.enter({ signal, tell }).then((end) => {
      world.tell(`${actor.name} is ${end}`)
      count(end)
      if (end === 'out-of-range') {
        void replica
          .leave()
          .catch(() => {})
          .then(() => kill(actor))
        return
      }
      process.isReady = true
      const { formats } = stateOf(store)
      if (!formats.every((format) => canHandle(formatsOf(builds[build]), format))) {
        failures.push(`${actor.name} of build ${build} became ready on formats ${formats}`)
      }
    }, failed)
  }
  const failed = (error: unknown) =>
    void failures.push(error instanceof Error ? (error.stack ?? error.message) : String(error))

  const job = async (kind: 'expand' | 'to', build: Build, format: number) => {
    const actor = newActor(`${kind}-${format}`)
    const parts = partsOf(actor, build)
    const log = createClusterLog({ ...parts, build: `0.${build}.0` })
    const runner: Runner = { ...parts, log }
    const label = `${actor.name} by build ${build}`
    world.tell(`${label} begins`)
    const work = async () => {
      if (kind === 'expand') return expand(runner)
      const conversions = createConversions(runner)
      const self = replicaIdOf(actor)
      const membership = createMembership({
        ...parts,
        log,
        times,
        identity: { replicaId: self, role: 'migrate', build: `0.${build}.0` },
        formats: formatsOf(builds[build]),
        quiesce: conversions.quiet,
      })
      await membership.join()
      try {
        return await converge({
          ...parts,
          ...runner,
          times,
          conversions,
          self,
          format,
          // Whoever migrates knows which of the silent ones are gone.
          forget: [...actors.values()].filter(({ alive }) => !alive).map(replicaIdOf),
          acceptIrreversible: false,
          rate: 20,
          waitMs: 0,
        })
      } finally {
        await membership.leave().catch(() => {})
      }
    }
    try {
      const { verdict, message } = await work()
      world.tell(`${label} ends ${verdict}: ${message}`)
      count(`${kind} ${verdict}`)
      if (kind === 'to' && verdict === 'done') checkReached(format, label)
      return verdict
    } catch (error) {
      if (!(error instanceof Error)) throw error
      world.tell(`${label} fails: ${error.message}`)
      count(`${kind} failed`)
      return 'failed'
    }
  }

  /** Where `migrate to` says that it is done, it is, unless somebody has decided otherwise meanwhile. */
  const checkReached = (format: number, label: string) => {
    const { agreed, proposed } = stateOf(store)
    if (agreed?.format !== format || !agreed.reached || proposed !== null) return
    for (const [project, found] of tailsOf(store)) {
      if (found !== format) failures.push(`${label} is done, and ${project} has format ${found}`)
    }
  }

  const stop = (process: Process) => {
    process.isReady = false
    running.delete(process.name)
    process.replica.drain()
    void process.replica
      .leave()
      .catch(() => {})
      .then(() => kill(process.actor))
  }

  const ready = () => [...running.values()].filter(({ isReady }) => isReady)

  const user = async (file: HistoryFile, by: Chance) => {
    for (let n = 1; !isOver; n++) {
      await world.sleep(by.fraction() * 20_000)
      if (ready().length === 0) continue
      const process = by.pick(ready())
      if (by.happens(0.5)) await write(file, process, `${nameOf(file)} ${n}`)
      else await check(file, process, by)
    }
  }
  const write = async (file: HistoryFile, process: Process, content: string) => {
    world.tell(`write ${content} by ${process.actor.name}`)
    file.unknown.push(content)
    const outcome = await Promise.race([
      family.write(reachOf(process), file, content).then(
        ({ status, commit }) => {
          if (status !== 200) return String(status)
          if (commit) file.pinned.push({ commit, content })
          return 'done'
        },
        (error) => (error instanceof ServiceError ? error.code : String(error.stack ?? error)),
      ),
      untilDead(world, process.actor),
    ])
    count(`write ${outcome}`)
    world.tell(`write ${content}: ${outcome}`)
    if (outcome === 'done') Object.assign(file, { acknowledged: content, unknown: [] })
    else if (['not_written', 'format_unsupported'].includes(outcome)) file.unknown.pop()
    else if (!['outcome_unknown', 'gone', 'store_unavailable'].includes(outcome)) {
      failures.push(`write ${content} by ${process.actor.name}: ${outcome}`)
    }
  }
  const check = async (file: HistoryFile, process: Process, by: Chance) => {
    const pin = family.readsPinned && by.happens(0.3) ? by.pick(file.pinned) : undefined
    const expected = pin ? [pin.content] : [file.acknowledged, ...file.unknown]
    const found = await Promise.race([
      family
        .read(reachOf(process), file, pin?.commit)
        .catch((error) => (error instanceof ServiceError ? null : String(error.stack ?? error))),
      untilDead(world, process.actor).then(() => null),
    ])
    if (found === null) return
    count(pin ? 'read pinned' : 'read')
    if (!expected.includes(found)) {
      const where = `${nameOf(file)}${pin ? ` at ${pin.commit}` : ''}`
      failures.push(`${process.actor.name} reads ${found} in ${where}, not one of ${expected}`)
    }
  }

  const script = async () => {
    const files = await family.create(reachOf(readerOf('operator', 1)))
    const weather = chance.happens(0.5) ? drawWeather(world, names, lastsMs) : fairWeather(world)
    const killing = chance.pick([0, 0.002, 0.01])
    store.setWeather((call) => {
      const actor = actors.get(call.replica)
      if (actor && call.operation !== 'list' && chance.happens(killing)) {
        world.after(chance.fraction() * 2, () => kill(actor))
      }
      return weather(call)
    })
    const users = files.map((file) => user(file, chance.fork()))
    const jobs: Promise<unknown>[] = []
    const endMs = world.nowMs() + lastsMs
    let rollout = chance.pick([1, 3])
    let changesAtMs = 0
    while (world.nowMs() < endMs) {
      await world.sleep(chance.fraction() * 20_000)
      if (world.nowMs() >= changesAtMs) {
        rollout = Math.min(rollouts.length - 1, Math.abs(rollout + chance.pick([-1, 1])))
        changesAtMs = world.nowMs() + chance.fraction() * rolloutMs
        world.tell(`builds ${rollouts[rollout]} are rolled out`)
      }
      const wanted = rollouts[rollout] ?? []
      const name = chance.pick(names)
      const there = running.get(name)
      const dice = chance.fraction()
      if (!there) start(name, chance.pick(wanted))
      else if (dice < 0.1) kill(there.actor)
      else if (dice < 0.2 || !wanted.includes(there.build)) stop(there)
      else if (dice < 0.6) {
        const build: Build = chance.pick(chance.happens(0.8) ? wanted : [1, 2, 3])
        const format = chance.pick([build, Math.max(1, build - 1), chance.pick([1, 2, 3])])
        const kind = chance.happens(0.2) ? 'expand' : 'to'
        jobs.push(Promise.race([job(kind, build, format), world.sleep(lastsMs)]))
      }
    }
    isOver = true
    store.setWeather(fairWeather(world))
    await Promise.all([...users, ...jobs])
    for (const actor of actors.values()) kill(actor)
    // What killed ones announced is heard no more, and nobody waits for it an hour later.
    await world.sleep(times.blocksMs + 1_000)
    await finish(files)
  }

  /** In the end one operator brings all of it to format 1, and every build reads the same. */
  const finish = async (files: HistoryFile[]) => {
    for (const [build, format] of [
      [3, 2],
      [2, 2],
      [2, 1],
    ] as const) {
      // Where nobody was ever expanded the log does not tell what projects have.
      const present = [...stateOf(store).formats, ...tailsOf(store).values()]
      if (!present.every((one) => canHandle(formatsOf(builds[build]), one))) continue
      const verdict = await job('to', build, format)
      if (verdict !== 'done') failures.push(`in the end \`to ${format}\` ends ${verdict}`)
    }
    for (const build of [1, 2, 3] as const) {
      const reach = reachOf(readerOf('reader', build))
      for (const file of files) {
        const pins = family.readsPinned ? file.pinned : []
        const expected = [
          { at: undefined, contents: [file.acknowledged, ...file.unknown] },
          ...pins.map(({ commit, content }) => ({ at: commit, contents: [content] })),
        ]
        for (const { at, contents } of expected) {
          const found = await family.read(reach, file, at)
          if (contents.includes(found)) continue
          const where = `${nameOf(file)}${at ? ` at ${at}` : ''}`
          failures.push(`in the end build ${build} reads ${found} in ${where}, not ${contents}`)
        }
      }
    }
    failures.push(...judgeWriters(family, store))
  }

  let isDone = false
  script()
    .catch(failed)
    .finally(() => {
      isDone = true
    })
  const end = await world.run(() => isDone, 3_000_000)
  if (end !== 'done') failures.push(`the history does not end: ${end}`)
  return { failures, story: world.story, counts }
}

function replicaIdOf({ name }: Actor): string {
  return name.replace('#', '-')
}

function nameOf({ scope: { project, stage, service }, path }: HistoryFile): string {
  return [project, stage, service, path].filter(Boolean).join('/')
}

async function untilDead(world: World, actor: Actor): Promise<'gone'> {
  for (;;) {
    if (!actor.alive) return 'gone'
    await world.sleep(1_000)
  }
}

/** What the bucket says was decided, at this instant. */
function stateOf(store: VirtualStore): ClusterState {
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

function tailsOf(store: VirtualStore): Map<string, number> {
  const tails = new Map<string, number>()
  for (const { project, transaction } of entriesOf(store)) tails.set(project, transaction.format)
  return tails
}

/** Every entry was written by a build that may write what was there, and what it made of it. */
function judgeWriters({ builds }: Family, store: VirtualStore): string[] {
  const failures: string[] = []
  const before = new Map<string, { format: number; minWriter: number }>()
  for (const { project, transaction } of entriesOf(store)) {
    const build = Number(transaction.build.split('.')[1]) as Build
    const [from, to] = formatsOf(builds[build]).writes
    for (const { format, minWriter } of [before.get(project) ?? transaction, transaction]) {
      if (format < from || format > to || minWriter > to) {
        failures.push(
          `build ${build} wrote entry ${transaction.seq} of ${project}, format ${format}`,
        )
      }
    }
    before.set(project, transaction)
  }
  return failures
}

/**
 * Random histories in a virtual world: users write, replicas of three builds come and go, migrations run in both directions and
 * at once, everybody is killed between any two calls to the store. What has to hold is judged while it happens and in the end.
 */
import { canHandle, formatsOf } from '../../src/cluster/formats.ts'
import { ServiceError } from '../../src/errors.ts'
import {
  createCluster,
  makeMember,
  openAs,
  stateOf,
  tailsOf,
  times,
} from '../simulation/cluster.ts'
import { addAll, addTo } from '../simulation/counts.ts'
import { createVirtualLock } from '../simulation/lock.ts'
import { createReplicas, type Replica } from '../simulation/replicas.ts'
import { createVirtualStore, fairWeather } from '../simulation/store.ts'
import { drawWeather } from '../simulation/weather.ts'
import { type Actor, type Chance, createWorld, type World } from '../simulation/world.ts'
import type { Build, Family, HistoryFile } from './history-files.ts'

/** No replica answers from a state that it could not prove. */
const fresh = { staleReadsMaxSeconds: 0 }
const lastsMs = 900_000
/** The builds that replicas are of, for some time; those of others are replaced. Then it goes one step up or down. */
const rollouts: readonly (readonly Build[])[] = [[1], [1, 2], [2], [2], [2], [2, 3], [3]]
const rolloutMs = 200_000

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
  const count = (name: string) => addTo(counts, name)
  const store = createVirtualStore(world, fairWeather(world))
  const lock = createVirtualLock(world, 'down')
  const names = ['a', 'b', 'c']
  const actors = new Map<string, Actor>()
  let readers = 0
  let isOver = false
  const failed = (error: unknown) =>
    void failures.push(error instanceof Error ? (error.stack ?? error.message) : String(error))

  const replicas = createReplicas({
    ...{ world, store, lock, names: [] },
    make: makeMember(world, builds, fresh),
    onStarted: ({ actor }) => void actors.set(actor.name, actor),
    onReady: (replica) => cluster.judgeReady(replica),
  })
  const cluster = createCluster({
    ...{ world, store, replicas, builds, count },
    failed: (what) => void failures.push(what),
    onActor: (actor) => void actors.set(actor.name, actor),
    // Whoever migrates knows which of the silent ones are gone.
    gone: () => [...actors.values()].filter(({ alive }) => !alive),
  })
  const kill = (actor: Actor) => {
    const replica = replicas.started.get(actor.name)
    if (replica) replicas.kill(replica)
    actor.alive = false
  }

  const readerOf = (name: string, build: Build) => {
    const actor = world.createActor(`${name}-${++readers}`)
    return { actor, repositories: openAs(replicas.partsOf(actor), builds, build, fresh) }
  }
  const reachOf = ({ actor, repositories }: Pick<Replica, 'actor' | 'repositories'>) => ({
    repositories,
    clock: world.clockOf(actor),
  })
  const ready = () => replicas.running

  const user = async (file: HistoryFile, by: Chance) => {
    for (let n = 1; !isOver; n++) {
      await world.sleep(by.fraction() * 20_000)
      if (ready().length === 0) continue
      const process = by.pick(ready())
      if (by.happens(0.5)) await write(file, process, `${nameOf(file)} ${n}`)
      else await check(file, process, by)
    }
  }
  const write = async (file: HistoryFile, process: Replica, content: string) => {
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
  const check = async (file: HistoryFile, process: Replica, by: Chance) => {
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
    const weather = chance.happens(0.5)
      ? drawWeather(world, names, { fromMs: 0, lastsMs })
      : fairWeather(world)
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
      const there = replicas.processes.find((one) => one.name === name)
      const dice = chance.fraction()
      if (!there) replicas.restart(name, chance.pick(wanted))
      else if (dice < 0.1) replicas.kill(there)
      else if (dice < 0.2 || !wanted.includes(there.build as Build)) replicas.stop(there)
      else if (dice < 0.6) {
        const build: Build = chance.pick(chance.happens(0.8) ? wanted : [1, 2, 3])
        const format = chance.pick([build, Math.max(1, build - 1), chance.pick([1, 2, 3])])
        const kind = chance.happens(0.2) ? 'expand' : 'to'
        jobs.push(Promise.race([cluster.migrate(kind, build, format), world.sleep(lastsMs)]))
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
      const verdict = await cluster.migrate('to', build, format)
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
    cluster.judgeWriters()
  }

  let isDone = false
  script()
    .catch(failed)
    .finally(() => {
      isDone = true
    })
  const end = await world.run(() => isDone, 3_000_000)
  if (end !== 'done') failures.push(`the history does not end: ${end}`)
  addAll(counts, replicas.counters)
  return { failures, story: world.story, counts }
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

/** How a cluster changes while its clients work: builds are rolled out and back, and migrations run, both ways and at once. */
import { type Cluster, times } from './cluster.ts'
import type { Replicas } from './replicas.ts'
import type { Actor, Chance, World } from './world.ts'

export interface Evolution {
  /** Goes on until it is over; resolves once nothing that it began goes on. */
  evolve(isOver: () => boolean): Promise<void>
  /** Replaces everybody by the newest build that handles whatever is there, and migrates once more. */
  renew(): Promise<void>
}

/** The builds that replicas are of, for some time; then it goes one step up or down. */
const rollouts: readonly (readonly number[])[] = [[1], [1, 2], [2], [2], [2], [2, 3], [3]]
/** So long an operator takes to see that nobody serves. */
const watchMs = 20_000

/**
 * @param options.actors every process there was
 * @param options.lastsMs for so long it changes
 * @param options.failed told of everything that must not be
 */
export function createEvolution(options: {
  world: World
  chance: Chance
  cluster: Cluster
  replicas: Replicas
  actors: ReadonlyMap<string, Actor>
  lastsMs: number
  failed(what: string): void
}): Evolution {
  const { world, chance, cluster, replicas, lastsMs, failed } = options
  const { names } = replicas

  return {
    async evolve(isOver) {
      const jobs: Promise<unknown>[] = []
      let rollout = 0
      for (let step = 1; !isOver() && world.nowMs() < lastsMs; step++) {
        const fact = `cluster step ${step}`
        const drawn = world.chanceOf(fact)
        await world.sleep(drawn.fraction() * 20_000)
        if (isOver() || !world.lets(fact)) continue
        if (drawn.happens(0.2))
          rollout = Math.max(0, Math.min(rollouts.length - 1, rollout + drawn.pick([-1, 1, 1])))
        const wanted = rollouts[rollout] ?? []
        const name = drawn.pick(names)
        const there = replicas.processes.find((one) => one.name === name)
        if (!there) replicas.restart(name, drawn.pick(wanted))
        else if (!wanted.includes(there.build) || drawn.happens(0.2)) replicas.stop(there)
        else if (drawn.happens(0.5)) {
          const build = drawn.pick(wanted)
          const kind = drawn.happens(0.2) ? 'expand' : 'to'
          const format = drawn.pick([build, Math.max(1, build - 1)])
          jobs.push(Promise.race([cluster.migrate(kind, build, format), world.sleep(lastsMs)]))
        }
      }
      while (!isOver()) {
        // Where everybody was out of range an operator goes back to a build that is not.
        for (const name of names) replicas.ensure(name, cluster.newestBuild())
        await world.sleep(watchMs)
      }
      await Promise.all(jobs)
    },
    async renew() {
      for (const replica of replicas.processes) replicas.stop(replica)
      for (const actor of options.actors.values())
        if (/^(to|expand)/.test(actor.name)) actor.alive = false
      await world.sleep(times.blocksMs + 1_000)
      const build = cluster.newestBuild()
      for (const name of names) replicas.restart(name, build)
      for (let waits = 0; replicas.running.length < names.length && waits < 600; waits++)
        await world.sleep(1_000)
      if (replicas.running.length < names.length)
        failed(`only ${replicas.running.length} replicas are ready in the end`)
      const format = Math.max(1, chance.pick([build, build - 1]))
      const verdict = await cluster.migrate('to', build, format)
      if (verdict !== 'done') failed(`in the end \`to ${format}\` ends ${verdict}`)
      cluster.judgeWriters()
    },
  }
}

/** Replicas of the service in a world: started, killed with -9, held back, started again with nothing kept. */
import type { Clock, Randomness } from '../../src/clock.ts'
import type { Lock } from '../../src/lock/lock.ts'
import { type Observer, silent } from '../../src/observe.ts'
import type { Repositories } from '../../src/repository/repository.ts'
import type { Store } from '../../src/store/store.ts'
import type { VirtualLock } from './lock.ts'
import type { VirtualStore } from './store.ts'
import { type Actor, createRandomness, type World } from './world.ts'

/** What a replica is built from, all of it virtual. */
export interface Parts {
  store: Store
  lock: Lock
  clock: Clock
  random: Randomness
  observer: Observer
}

export type MakeRepositories = (parts: Parts) => Repositories

export interface Replica {
  readonly name: string
  readonly repositories: Repositories
  readonly actor: Actor
  /** Resolves when it is killed. */
  readonly killed: Promise<void>
}

export interface Replicas {
  /** Those that run. */
  readonly running: Replica[]
  readonly names: string[]
  kill(replica: Replica): void
  /** Starts a new process in its place. */
  restart(name: string): Replica
  /** Stops it for a while; its clocks go on, or (`suspend`) only the wall clock does. */
  hold(replica: Replica, forMs: number, suspend: boolean): void
  closeAll(): Promise<void>
  /** What all of them told their observers: counters summed, histograms as lists. */
  readonly counters: Map<string, number>
  readonly histograms: Map<string, number[]>
}

export function createReplicas(options: {
  world: World
  store: VirtualStore
  lock: VirtualLock
  make: MakeRepositories
  names: string[]
}): Replicas {
  const { world, store, lock, make, names } = options
  const running = new Map<string, Replica & { die(): void }>()
  const counters = new Map<string, number>()
  const histograms = new Map<string, number[]>()
  const chance = world.chance.fork()
  let processes = 0

  function count(name: string, by = 1): void {
    counters.set(name, (counters.get(name) ?? 0) + by)
  }

  const observer: Observer = {
    ...silent,
    log: (level, event, fields) => {
      if (level !== 'debug') world.tell(`log ${event} ${JSON.stringify(fields ?? {})}`)
      count(event)
    },
    count: (name, _, by) => count(name, by),
    record: (name, value) => {
      const values = histograms.get(name) ?? []
      values.push(value)
      histograms.set(name, values)
    },
  }

  function start(name: string): Replica {
    const actor = world.createActor(`${name}#${++processes}`)
    actor.wallErrorMs = chance.pick([0, chance.between(-5_000, 5_000)])
    let die = () => {}
    const killed = new Promise<void>((resolve) => {
      die = resolve
    })
    const repositories = make({
      store: store.of(actor),
      lock: lock.of(actor),
      clock: world.clockOf(actor),
      random: createRandomness(chance.fork()),
      observer,
    })
    world.tell(`${actor.name} starts`)
    const replica = { name, repositories, actor, killed, die }
    running.set(name, replica)
    return replica
  }
  for (const name of names) start(name)

  return {
    get running() {
      return [...running.values()]
    },
    names,
    kill(replica) {
      if (!replica.actor.alive) return
      replica.actor.alive = false
      world.tell(`${replica.actor.name} is killed`)
      count('replica killed')
      running.get(replica.name)?.die()
      running.delete(replica.name)
    },
    restart: start,
    hold(replica, forMs, suspend) {
      world.tell(`${replica.actor.name} is ${suspend ? 'suspended' : 'held'} for ${forMs} ms`)
      count(suspend ? 'replica suspended' : 'replica held')
      const until = world.nowMs() + forMs
      const longerMs = Math.max(0, until - Math.max(world.nowMs(), replica.actor.heldUntilMs))
      replica.actor.heldUntilMs = Math.max(replica.actor.heldUntilMs, until)
      if (suspend) replica.actor.suspendedMs += longerMs
    },
    async closeAll() {
      for (const replica of running.values()) await replica.repositories.close()
    },
    counters,
    histograms,
  }
}

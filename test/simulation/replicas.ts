/** Replicas of the service in a world: started, killed with -9, held back, started again with or without what they kept. */
import type { Clock, Randomness } from '../../src/clock.ts'
import type { Lock } from '../../src/lock/lock.ts'
import { type GaugeName, type Observer, silent } from '../../src/observe.ts'
import type { PackCache } from '../../src/repository/cache.ts'
import type { Repositories } from '../../src/repository/repository.ts'
import type { Resources } from '../../src/resources/resources.ts'
import type { Store } from '../../src/store/store.ts'
import type { VirtualCaches } from './cache.ts'
import { addTo } from './counts.ts'
import type { VirtualLock } from './lock.ts'
import type { Call, VirtualStore } from './store.ts'
import type { Interruption } from './weather.ts'
import { type Actor, createRandomness, type World } from './world.ts'

/** What a replica is built from, all of it virtual. */
export interface Parts {
  /** Its process, named as no other. */
  actor: Actor
  store: Store
  lock: Lock
  clock: Clock
  random: Randomness
  observer: Observer
  /** Where a world has cache folders. */
  cache: PackCache | null
  /** Of objects at hand, and as much again of open projects. */
  memoryMaxBytes: number
}

/** What a process does once it runs. */
export interface Serving {
  repositories: Repositories
  /** The resources on top of them, where clients use those. */
  resourcesOver?(repositories: Repositories): Resources
  /** Of a member of a cluster: resolves once it may serve (`ready`), or never will. */
  entered?: Promise<'ready' | 'out-of-range' | 'ended'>
  /** Ends in peace; resolves once nothing is left of it. */
  leave?(): Promise<void>
}

/** @param build which of several programs it runs; 1 where there is one */
export type MakeReplica = (parts: Parts, build: number) => Serving

export interface Replica extends Serving {
  readonly name: string
  readonly build: number
  readonly actor: Actor
  /** Resolves when it is killed. */
  readonly killed: Promise<void>
}

export interface Replicas {
  /** Those that serve. */
  readonly running: Replica[]
  /** Those that run, serving or not yet; who was told to end is none of them. */
  readonly processes: Replica[]
  /** Every process that was started, whatever became of it. */
  readonly started: ReadonlyMap<string, Replica>
  readonly names: string[]
  kill(replica: Replica): void
  /** Starts a new process in its place, of the build that ran there before unless told. */
  restart(name: string, build?: number): Replica
  /** Starts one there, unless one runs. */
  ensure(name: string, build?: number): void
  /** Lets it end in peace: it takes no more requests. */
  stop(replica: Replica): void
  /** What a process of another kind is built from. */
  partsOf(actor: Actor): Parts
  /** Stops it for a while; its clocks go on, or (`suspend`) only the wall clock does. */
  hold(replica: Replica, forMs: number, suspend: boolean): void
  closeAll(): Promise<void>
  /** What a replica told last of itself. */
  gauge(replica: Replica, name: GaugeName): number
  /** What all of them told their observers: counters summed, histograms as lists. */
  readonly counters: Map<string, number>
  readonly histograms: Map<string, number[]>
}

interface Process extends Replica {
  isServing: boolean
  die(): void
}

export function createReplicas(options: {
  world: World
  store: VirtualStore
  lock: VirtualLock
  make: MakeReplica
  names: string[]
  /** 4 MiB unless told. */
  memoryMaxBytes?: number
  caches?: VirtualCaches
  /** Told of each process that begins. */
  onStarted?: (replica: Replica) => void
  /** Told of each process that may serve from now on. */
  onReady?: (replica: Replica) => void
  /** Told of each call that somebody waited for who was killed, held or suspended. */
  onInterrupted?: (how: Interruption, call: Call) => void
}): Replicas {
  const { world, store, lock, make, names, caches, memoryMaxBytes = 4 * 1024 * 1024 } = options
  const processes = new Map<string, Process>()
  const builds = new Map<string, number>()
  const counters = new Map<string, number>()
  const histograms = new Map<string, number[]>()
  /** By process and name. */
  const gauges = new Map<string, number>()
  const chance = world.chance.fork()
  const started = new Map<string, Replica>()

  const count = (name: string, by?: number) => addTo(counters, name, by)

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

  const partsOf = (actor: Actor): Parts => ({
    actor,
    store: store.of(actor),
    lock: lock.of(actor),
    clock: world.clockOf(actor),
    random: createRandomness(world.chanceOf(actor.name)),
    observer: {
      ...observer,
      set: (name, value) => void gauges.set(`${actor.name} ${name}`, value),
    },
    cache: null,
    memoryMaxBytes,
  })

  function start(name: string, build = builds.get(name) ?? 1): Replica {
    const actor = world.createActor(`${name}#${started.size + 1}`)
    actor.wallErrorMs = chance.pick([0, chance.between(-5_000, 5_000)])
    builds.set(name, build)
    let die = () => {}
    const killed = new Promise<void>((resolve) => {
      die = resolve
    })
    world.tell(`${actor.name} starts${build === 1 ? '' : `, of build ${build}`}`)
    const serving = make({ ...partsOf(actor), cache: caches?.of(name, actor) ?? null }, build)
    const process: Process = { ...serving, name, build, actor, killed, die, isServing: false }
    processes.set(name, process)
    started.set(actor.name, process)
    options.onStarted?.(process)
    const serves = (end: Awaited<Serving['entered']>) => {
      if (processes.get(name) !== process) return
      world.tell(`${actor.name} is ${end}`)
      count(`replica ${end}`)
      if (end !== 'ready') return leave(process)
      process.isServing = true
      options.onReady?.(process)
    }
    if (serving.entered) void serving.entered.then(serves)
    else process.isServing = true
    return process
  }

  const forget = (process: Process) => {
    process.isServing = false
    if (processes.get(process.name) === process) processes.delete(process.name)
  }

  function leave(process: Process): void {
    forget(process)
    const gone = () => {
      process.actor.alive = false
      world.tell(`${process.actor.name} is gone`)
      process.die()
    }
    void (process.leave?.() ?? Promise.resolve()).catch(() => {}).then(gone)
  }

  function interrupt(how: Interruption, { actor }: Replica): void {
    count(`replica ${how}`)
    for (const call of store.waitingOf(actor)) options.onInterrupted?.(how, call)
  }

  for (const name of names) start(name)

  return {
    get running() {
      return [...processes.values()].filter(({ isServing }) => isServing)
    },
    get processes() {
      return [...processes.values()]
    },
    started,
    names,
    kill(replica) {
      const process = replica as Process
      if (!process.actor.alive) return
      process.actor.alive = false
      world.tell(`${process.actor.name} is killed`)
      interrupt('killed', process)
      forget(process)
      process.die()
    },
    restart: start,
    ensure(name, build) {
      if (!processes.has(name)) start(name, build)
    },
    stop(replica) {
      world.tell(`${replica.actor.name} drains`)
      leave(replica as Process)
    },
    partsOf,
    hold(replica, forMs, suspend) {
      world.tell(`${replica.actor.name} is ${suspend ? 'suspended' : 'held'} for ${forMs} ms`)
      interrupt(suspend ? 'suspended' : 'held', replica)
      const until = world.nowMs() + forMs
      const longerMs = Math.max(0, until - Math.max(world.nowMs(), replica.actor.heldUntilMs))
      replica.actor.heldUntilMs = Math.max(replica.actor.heldUntilMs, until)
      if (suspend) replica.actor.suspendedMs += longerMs
    },
    async closeAll() {
      for (const { repositories } of processes.values()) await repositories.close()
    },
    gauge: ({ actor }, name) => gauges.get(`${actor.name} ${name}`) ?? 0,
    counters,
    histograms,
  }
}

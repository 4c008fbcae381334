/**
 * A world that one number decides: time, chance, and the order in which things happen. Nothing in it is real, so a schedule
 * that fails once fails again, with the same story.
 *
 * Everything that happens is an event of the queue. After each event the promises it settled run to their end before the
 * next one starts. A replica is an `Actor`: its continuations all begin in an event that it owns (an answer, a timer, a
 * request), so dropping those is `kill -9`, and holding them back is a paused process.
 */
import { createHash } from 'node:crypto'
import type { Clock, Randomness } from '../../src/clock.ts'

/** Chance from a seed: the same seed, the same values. */
export interface Chance {
  /** 0 to below 1. */
  fraction(): number
  /** A whole number, `from` to `to`, both included. */
  between(from: number, to: number): number
  /** True with this probability. */
  happens(probability: number): boolean
  /** One of them. */
  pick<T>(items: readonly T[]): T
  /** Another stream, so that what one part draws does not move the other's. */
  fork(): Chance
}

/** Something that can be killed or held back. */
export interface Actor {
  readonly name: string
  alive: boolean
  heldUntilMs: number
  /** Milliseconds of the holds that stopped its monotonic clock too (a suspended machine). */
  suspendedMs: number
  /** The wall clock's error, milliseconds. */
  wallErrorMs: number
}

export interface World {
  readonly seed: number
  readonly chance: Chance
  /** Chance that depends on the seed and this name alone, whatever else was left out. */
  chanceOf(name: string): Chance
  /**
   * Asks whether something happens that a shorter schedule may do without.
   * @param fact names it, the same in every run of this seed
   */
  lets(fact: string): boolean
  /** Everything that was asked for and happened, in order. */
  readonly facts: readonly string[]
  /** Milliseconds since the world began. */
  nowMs(): number
  /** A number that grows with each call: the order of invocations and answers. */
  stamp(): number
  /** The first stamp given at this time or later. */
  stampAt(timeMs: number): number
  /**
   * Lets something happen later.
   * @param owner who has to be alive and awake for it; nobody by default
   * @returns what cancels it
   */
  after(delayMs: number, work: () => void, owner?: Actor): () => void
  sleep(delayMs: number, owner?: Actor): Promise<void>
  createActor(name: string): Actor
  clockOf(actor: Actor): Clock
  /** Adds a line to the story. */
  tell(line: string): void
  readonly story: readonly string[]
  /** Of the whole story. */
  digest(): string
  /** Lets events happen until `done`, or until there are none, or too many of them. */
  run(done: () => boolean, maxEvents: number): Promise<'done' | 'idle' | 'endless'>
}

/** Where the wall clocks of all worlds begin. */
export const epochMs = Date.UTC(2026, 0, 1)

interface Event {
  atMs: number
  /** Decides between events of one instant. */
  tie: number
  work: (() => void) | null
  owner: Actor | undefined
}

/**
 * @param seed any whole number from 0
 * @param without facts that do not happen
 */
export function createWorld(seed: number, without: ReadonlySet<string> = new Set()): World {
  const chance = createChance(seed)
  const facts: string[] = []
  const ties = chance.fork()
  const queue: Event[] = []
  const stamps: number[] = []
  const story: string[] = []
  let nowMs = 0

  const world: World = {
    seed,
    chance,
    chanceOf: (name) => createChance(seed ^ hashOf(name)),
    lets(fact) {
      if (without.has(fact)) return false
      facts.push(fact)
      return true
    },
    facts,
    nowMs: () => nowMs,
    stamp: () => stamps.push(nowMs),
    stampAt(timeMs) {
      const index = stamps.findIndex((at) => at >= timeMs)
      return index < 0 ? stamps.length : index
    },
    after(delayMs, work, owner) {
      const event: Event = { atMs: nowMs + Math.max(0, delayMs), tie: ties.fraction(), work, owner }
      push(queue, event)
      return () => {
        event.work = null
      }
    },
    sleep: (delayMs, owner) => new Promise((resolve) => world.after(delayMs, resolve, owner)),
    createActor: (name) => ({ name, alive: true, heldUntilMs: 0, suspendedMs: 0, wallErrorMs: 0 }),
    clockOf: (actor) => createClock(world, actor),
    tell: (line) => void story.push(`${nowMs.toFixed(2).padStart(10)}  ${line}`),
    story,
    digest: () => createHash('sha256').update(story.join('\n')).digest('hex'),
    async run(done, maxEvents) {
      await promisesSettle()
      for (let events = 0; events < maxEvents; events++) {
        if (done()) return 'done'
        const event = pop(queue)
        if (!event) return 'idle'
        if (!event.work || event.owner?.alive === false) continue
        if (event.owner && event.owner.heldUntilMs > event.atMs) {
          push(queue, Object.assign(event, { atMs: event.owner.heldUntilMs }))
          continue
        }
        nowMs = event.atMs
        event.work()
        await promisesSettle()
      }
      return 'endless'
    },
  }
  return world
}

function createClock(world: World, actor: Actor): Clock {
  const lateness = world.chance.fork()

  const monotonicMs = () => world.nowMs() - actor.suspendedMs

  /** A timer counts no time of a suspended machine. */
  function at(dueMs: number, work: () => void): () => void {
    let cancel = world.after(
      dueMs - monotonicMs(),
      () => {
        if (monotonicMs() >= dueMs - 0.001) work()
        else cancel = at(dueMs, work)
      },
      actor,
    )
    return () => cancel()
  }

  return {
    nowMs: () => Math.floor(epochMs + world.nowMs() + actor.wallErrorMs),
    monotonicMs,
    bootMs: () => world.nowMs(),
    schedule: (delayMs, work) => at(monotonicMs() + delayMs + lateness.fraction(), work),
    soon: (work) => void world.after(0, work, actor),
  }
}

/** UUIDs and fractions for one replica. */
export function createRandomness(chance: Chance): Randomness {
  const hex = (digits: number) =>
    Array.from({ length: digits }, () => chance.between(0, 15).toString(16)).join('')
  return {
    uuid: () => `${hex(8)}-${hex(4)}-4${hex(3)}-8${hex(3)}-${hex(12)}`,
    fraction: () => chance.fraction(),
  }
}

/** FNV-1a, 32 bits. @see https://datatracker.ietf.org/doc/html/draft-eastlake-fnv */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return hash
}

/** All promise jobs, and what they queue for this turn of the loop. */
function promisesSettle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** @see https://prng.di.unimi.it/splitmix64.c, here with 32 bits and Murmur's finaliser */
export function createChance(seed: number): Chance {
  let state = seed | 0
  const next = () => {
    state = (state + 0x9e3779b9) | 0
    let z = state
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
    return (z ^ (z >>> 16)) >>> 0
  }
  const chance: Chance = {
    fraction: () => next() / 2 ** 32,
    between: (from, to) => from + Math.floor(chance.fraction() * (to - from + 1)),
    happens: (probability) => chance.fraction() < probability,
    pick: (items) => {
      const item = items[chance.between(0, items.length - 1)]
      if (item === undefined) throw new Error('nothing to pick from')
      return item
    },
    fork: () => createChance(next()),
  }
  return chance
}

function before(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.tie < b.tie)
}

/** A binary heap: the earliest event is the first. */
function push(heap: Event[], event: Event): void {
  let at = heap.push(event) - 1
  while (at > 0) {
    const parent = (at - 1) >> 1
    const above = heap[parent] as Event
    if (!before(event, above)) break
    heap[at] = above
    heap[parent] = event
    at = parent
  }
}

function pop(heap: Event[]): Event | undefined {
  const first = heap[0]
  const last = heap.pop()
  if (!first || !last || first === last) return first
  heap[0] = last
  for (let at = 0; ; ) {
    let least = at
    for (const child of [2 * at + 1, 2 * at + 2]) {
      const event = heap[child]
      if (event && before(event, heap[least] as Event)) least = child
    }
    if (least === at) return first
    ;[heap[at], heap[least]] = [heap[least] as Event, heap[at] as Event]
    at = least
  }
}

/**
 * A virtual bucket that all replicas of a world share. It keeps the contract of `src/store/store.ts` to the letter, and is as
 * unkind as the contract allows: a `Course` says, for each call, when it takes effect (never, once, twice, long after the
 * caller gave up) and what the caller is told. Each effect happens at one instant.
 */
import type { Clock } from '../../src/clock.ts'
import type {
  CallOptions,
  CreateResult,
  ListOptions,
  ListPage,
  Store,
  StoredObject,
} from '../../src/store/store.ts'
import { StoreError } from '../../src/store/store.ts'
import { type Actor, type Chance, epochMs, type World } from './world.ts'

export type StoreOperation = 'get' | 'create' | 'put' | 'list' | 'delete'

export interface Call {
  /** From 0, over all replicas. */
  number: number
  replica: string
  operation: StoreOperation
  /** The prefix and start of a list. */
  key: string
  timeoutMs: number
  body?: Buffer
  /** A get that asks whether the object is still the same. */
  isConditional?: boolean
  /** The name of what became of it. */
  course?: string
}

/** What becomes of one call. */
export interface Course {
  /** For the story and the counts. */
  name: string
  /** When it takes effect, milliseconds after the call; none: never. */
  effectsAfterMs: number[]
  /** When the caller is answered; null: it waits until its deadline. */
  answerAfterMs: number | null
  /** The truth of the first effect, of the last one, of a list's beginning by the first and its end by the last, a 409, or a failure. */
  answer: 'first' | 'last' | 'torn' | 'conflict' | { reason: string; definite: boolean }
}

export type Weather = (call: Call) => Course

/** One `create` as the bucket saw it, for the checks afterwards. */
export interface Attempt {
  key: string
  body: Buffer
  replica: string
  /** When it was called, in the world's order. */
  stamp: number
  /** What came of each effect. */
  effects: CreateResult['result'][]
  /** When it took the slot, in the world's order. */
  createdAt: number | null
  /** What the caller was told. */
  told: CreateResult['result'] | 'failed' | null
}

/** What only some operations can be answered. */
interface Special<T> {
  conflict?: T
  torn?: (first: T, last: T) => T
}

interface Caller {
  actor: Actor
  clock: Clock
}

interface Held {
  body: Buffer
  etag: string
  lastModifiedMs: number
}

export interface VirtualStore {
  /** The port, as one replica sees it. */
  of(actor: Actor): Store
  readonly objects: ReadonlyMap<string, Held>
  readonly attempts: readonly Attempt[]
  readonly calls: readonly Call[]
  /** When a put was acknowledged, by key, in the world's order. */
  readonly acknowledged: ReadonlyMap<string, number>
  /** How often each operation met each course. */
  readonly counts: Map<string, number>
  /** Calls that an actor waits for. */
  waitingOf(actor: Actor): readonly Call[]
  /** Whether nothing that was sent may yet take effect. */
  isQuiet(): boolean
  setWeather(weather: Weather): void
  /** What an operator, or a broken store, does behind everybody's back. */
  tamper(key: string, body: Buffer | null): void
}

/** Every call takes a millisecond or so and succeeds. */
export function fairWeather(world: World): Weather {
  const chance = world.chance.fork()
  return () => {
    const effect = 0.2 + chance.fraction()
    return {
      name: 'ok',
      effectsAfterMs: [effect],
      answerAfterMs: effect + 0.1 + chance.fraction(),
      answer: 'first',
    }
  }
}

/**
 * @param weather what becomes of each call
 * @param onCreated told of each object that was created, at that instant
 */
export function createVirtualStore(
  world: World,
  weather: Weather,
  onCreated: (key: string, body: Buffer, store: VirtualStore) => void = () => {},
): VirtualStore {
  const objects = new Map<string, Held>()
  const attempts: Attempt[] = []
  const calls: Call[] = []
  const acknowledged = new Map<string, number>()
  const counts = new Map<string, number>()
  const waiting = new Map<Call, Actor>()
  let underWay = 0
  let course = weather
  const chance = world.chance.fork()
  let etags = 0
  const clockErrorMs = world.chance.between(-600_000, 600_000)
  const dateMs = () => Math.floor((epochMs + world.nowMs() + clockErrorMs) / 1000) * 1000

  function write(key: string, body: Buffer): { etag: string } {
    const etag = `"${++etags}"`
    objects.set(key, { body: Buffer.from(body), etag, lastModifiedMs: dateMs() })
    return { etag }
  }

  function createNow(attempt: Attempt): CreateResult {
    const result: CreateResult = objects.has(attempt.key)
      ? { result: 'exists' }
      : { result: 'created', ...write(attempt.key, attempt.body) }
    attempt.effects.push(result.result)
    if (result.result === 'created') {
      attempt.createdAt = world.stamp()
      onCreated(attempt.key, attempt.body, self)
    }
    return result
  }

  /** Starts one call; its effects happen whatever becomes of the caller. */
  function perform<T>(
    { actor, clock }: Caller,
    target: Omit<Call, 'number' | 'replica' | 'timeoutMs'> & { options: CallOptions },
    effect: () => T,
    special: Special<T> = {},
  ): Promise<T> {
    const { options, ...rest } = target
    const call: Call = {
      ...rest,
      number: calls.length,
      replica: actor.name,
      timeoutMs: options.timeoutMs,
    }
    calls.push(call)
    const plan = course(call)
    call.course = plan.name
    const label = `${call.operation} ${plan.name}`
    counts.set(label, (counts.get(label) ?? 0) + 1)
    const title = `${actor.name} ${call.operation} ${shortKey(call.key)}`
    world.tell(`${title}${plan.name === 'ok' ? '' : ` [${plan.name}]`}`)
    if (options.signal?.aborted) return Promise.reject(failure('aborted', true))

    return new Promise<T>((resolve, reject) => {
      const results: T[] = []
      for (const delayMs of plan.effectsAfterMs) {
        underWay++
        world.after(delayMs, () => {
          underWay--
          results.push(effect())
        })
      }
      waiting.set(call, actor)
      const endings: (() => void)[] = [() => waiting.delete(call)]
      const end = (settle: () => void) => {
        for (const cancel of endings.splice(0)) cancel()
        settle()
      }
      const fail = (reason: string, definite: boolean) =>
        end(() => {
          world.tell(`${title} failed: ${reason}`)
          reject(failure(reason, definite))
        })
      const answer = () => {
        const told = plan.answer
        if (typeof told === 'object') return fail(told.reason, told.definite)
        const value = truthOf(told, results, special)
        if (value === undefined) throw new Error(`course ${plan.name} answers before its effect`)
        end(() => resolve(value))
      }
      if (plan.answerAfterMs !== null) endings.push(world.after(plan.answerAfterMs, answer, actor))
      // A socket's timer does not count the time that its machine sleeps.
      endings.push(clock.schedule(options.timeoutMs, () => fail('timeout', false)))
      const abort = () => fail('aborted', false)
      options.signal?.addEventListener('abort', abort, { once: true })
      endings.push(() => options.signal?.removeEventListener('abort', abort))
    })
  }

  function portOf(actor: Actor): Store {
    const caller = { actor, clock: world.clockOf(actor) }
    return {
      get: (key, options) =>
        perform<StoredObject | 'not-modified' | null>(
          caller,
          { operation: 'get', key, options, isConditional: options.ifNoneMatch !== undefined },
          () => {
            const held = objects.get(key)
            if (!held) return null
            if (options.ifNoneMatch === held.etag) return 'not-modified'
            const { start = 0, end = held.body.length - 1 } = options.range ?? {}
            const body = Buffer.from(held.body.subarray(start, end + 1))
            return { ...held, body, dateMs: dateMs() }
          },
        ),
      create: async (key, body, options) => {
        const attempt: Attempt = {
          key,
          body: Buffer.from(body),
          replica: actor.name,
          stamp: world.stamp(),
          effects: [],
          createdAt: null,
          told: null,
        }
        attempts.push(attempt)
        try {
          const result = await perform<CreateResult>(
            caller,
            { operation: 'create', key, body, options },
            () => createNow(attempt),
            { conflict: { result: 'conflict' } },
          )
          attempt.told = result.result
          return result
        } catch (error) {
          attempt.told = 'failed'
          throw error
        }
      },
      put: async (key, body, options) => {
        const copy = Buffer.from(body)
        const call = { operation: 'put' as const, key, body, options }
        const result = await perform(caller, call, () => write(key, copy))
        acknowledged.set(key, world.stamp())
        return result
      },
      list: (options) =>
        perform(
          caller,
          { operation: 'list', key: `${options.prefix}>${options.startAfter ?? ''}`, options },
          () => listNow(objects, options, dateMs()),
          { torn: (first, last) => tear(first, last, chance) },
        ),
      delete: async (key, options) => {
        await perform(caller, { operation: 'delete', key, options }, () => objects.delete(key))
      },
      close: async () => {},
    }
  }

  const self: VirtualStore = {
    of: portOf,
    objects,
    attempts,
    calls,
    acknowledged,
    counts,
    waitingOf: (actor) => [...waiting].filter(([, by]) => by === actor).map(([call]) => call),
    isQuiet: () => underWay === 0,
    setWeather(next) {
      course = next
    },
    tamper(key, body) {
      world.tell(`the operator ${body ? 'replaces' : 'removes'} ${shortKey(key)}`)
      if (body) write(key, body)
      else objects.delete(key)
    },
  }
  return self
}

function listNow(
  objects: ReadonlyMap<string, Held>,
  options: ListOptions,
  dateMs: number,
): ListPage {
  const { prefix, startAfter = '', delimiter, limit = 1000 } = options
  const page: ListPage = { objects: [], prefixes: [], next: null, dateMs }
  let last = ''
  for (const key of [...objects.keys()].sort()) {
    if (!key.startsWith(prefix) || key <= startAfter) continue
    const cut = delimiter ? key.indexOf(delimiter, prefix.length) : -1
    const item = cut < 0 ? key : key.slice(0, cut + 1)
    if (item === last || item <= startAfter) continue
    if (page.objects.length + page.prefixes.length === limit) return { ...page, next: last }
    last = item
    const held = objects.get(key) as Held
    if (cut >= 0) page.prefixes.push(item)
    else
      page.objects.push({
        key,
        etag: held.etag,
        sizeBytes: held.body.length,
        lastModifiedMs: held.lastModifiedMs,
      })
  }
  return page
}

function truthOf<T>(
  told: Exclude<Course['answer'], object>,
  results: readonly T[],
  special: Special<T>,
): T | undefined {
  const [first] = results
  const last = results.at(-1)
  if (told === 'conflict') return special.conflict
  if (told === 'torn' && first !== undefined && last !== undefined)
    return special.torn?.(first, last)
  return told === 'first' ? first : last
}

/** A list that walks its keys while others create: what it passed early is from before, the rest from after. */
function tear(first: ListPage, last: ListPage, chance: Chance): ListPage {
  const at = chance.pick(['', ...last.objects.map(({ key }) => key)])
  const objects = [
    ...first.objects.filter(({ key }) => key <= at),
    ...last.objects.filter(({ key }) => key > at),
  ]
  return { ...last, objects }
}

function failure(reason: string, definite: boolean): StoreError {
  return new StoreError(`the virtual store: ${reason}`, { definite, reason })
}

/** `projects/p/log/00000000000000000007.bundle` as `p/log/7`. */
export function shortKey(key: string): string {
  return key.replace(/projects\//g, '').replace(/0{5,}(\d+)(\.bundle)?/g, '$1')
}

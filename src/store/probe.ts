import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { type CallOptions, type Store, StoreError } from './store.ts'

/** Whether a store keeps the promises that our correctness stands on; `failures` are sentences for its operator. */
export type Fitness = { fit: true } | { fit: false; failures: string[] }

/** A store that can be asked what else happens to its objects. */
export interface RuledStore extends Store {
  /**
   * Names the rules of the bucket that remove, move or replicate objects of this store.
   * @returns sentences; empty where there are none, and where asking is not allowed or not known
   */
  bucketRules?(options: CallOptions): Promise<string[]>
}

/** What one round of a race is for: more than a store serves at once, and enough rounds that a race shows. */
const creators = 16
const rounds = 6

/**
 * Asks a store at start whether it does what it must, with a few small objects below `probe/` that it deletes again.
 * @param options.timeoutMs of each call, not of all
 * @returns what it found; under a second on a store that is near
 * @throws StoreError where the store cannot be asked: that tells nothing about its fitness
 */
export async function probeStore(store: RuledStore, options: CallOptions): Promise<Fitness> {
  const place = `probe/${randomUUID()}`
  const written: string[] = []
  try {
    const found = await allEnded([
      checkAbsence(store, `${place}-absent`, options),
      checkObject(store, `${place}-object`, written, options),
      checkRaces(store, `${place}-race`, written, options),
      store.bucketRules?.(options) ?? Promise.resolve([]),
    ])
    const failures = found.flat()
    return failures.length === 0 ? { fit: true } : { fit: false, failures }
  } finally {
    await Promise.allSettled(written.map((key) => store.delete(key, options)))
  }
}

/** What `probeStore` finds wrong; empty for a store that keeps its contract. @throws as it does */
export async function failuresOf(
  store: RuledStore,
  options: CallOptions,
): Promise<readonly string[]> {
  const fitness = await probeStore(store, options)
  return fitness.fit ? [] : fitness.failures
}

/** Waits for all, also after a failure, so that nothing is written after the cleaning up. */
async function allEnded<T>(checks: Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(checks)
  return Promise.all(checks)
}

async function checkAbsence(store: Store, key: string, options: CallOptions): Promise<string[]> {
  const found = await store.get(key, options)
  return found === null ? [] : ['a key that was never written is not absent']
}

async function checkObject(store: Store, key: string, written: string[], options: CallOptions) {
  const failures: string[] = []
  const [first, second] = [Buffer.from('first'), Buffer.from('second')]
  written.push(key, `${key}-later`)
  const created = await create(store, key, first, options)
  if (created !== 'created') return [`a key that was never written cannot be created: ${created}`]
  if (!(await holds(store, key, first, options))) {
    failures.push('what was created is not read back at once')
  }
  const again = await create(store, key, second, options)
  if (again !== 'exists') failures.push(`create-only does not refuse a key that is taken: ${again}`)
  if (!(await holds(store, key, first, options))) {
    failures.push('create-only changes an object that exists')
  }
  await store.put(`${key}-later`, first, options)
  await store.put(`${key}-later`, second, options)
  if (!(await holds(store, `${key}-later`, second, options))) {
    failures.push('what was written over is not read back at once')
  }
  return [...failures, ...(await checkList(store, key, options))]
}

async function checkList(store: Store, key: string, options: CallOptions): Promise<string[]> {
  const all = await store.list({ ...options, prefix: key })
  const later = await store.list({ ...options, prefix: key, startAfter: key })
  const isWhole = all.objects.map((object) => object.key).join() === `${key},${key}-later`
  const isLater = later.objects.map((object) => object.key).join() === `${key}-later`
  return [
    ...(isWhole ? [] : ['a list does not show what was written']),
    ...(isLater ? [] : ['a list does not begin after the key that it was given']),
  ]
}

async function checkRaces(store: Store, place: string, written: string[], options: CallOptions) {
  const failures = new Set<string>()
  const keys = Array.from({ length: rounds }, (_, round) => `${place}-${round}`)
  written.push(...keys)
  // One race after the other, and as long a rest: a store has other things to do while somebody starts.
  for (const key of keys) {
    const startedMs = performance.now()
    for (const failure of await checkRace(store, key, options)) failures.add(failure)
    await pause(performance.now() - startedMs)
  }
  return [...failures]
}

async function checkRace(store: Store, key: string, options: CallOptions): Promise<string[]> {
  const bodies = Array.from({ length: creators }, (_, i) => Buffer.from(`${key} by ${i}`))
  const results = await Promise.all(
    bodies.map((body) => create(store, key, body, options).catch(asUnanswered)),
  )
  const winners = bodies.filter((_, i) => results[i] === 'created')
  if (winners.length > 1) return ['of creators at once more than one is told that it won']
  const [winner] = winners
  if (winner === undefined) {
    const lost = results.find((result) => result instanceof StoreError)
    if (lost === undefined) return ['of creators at once none wins']
    // One whose answer was lost may have won; or may win yet, and that tells nothing about the store but that it is slow.
    if ((await store.get(key, options)) === null) throw lost
    return []
  }
  if (await holds(store, key, winner, options)) return []
  return ['of creators at once the bytes of one are kept and another is told that it won']
}

type Created = 'created' | 'exists' | 'conflict' | 'not supported'

/** How often a store may answer that it could not decide. */
const conflictsAllowed = 20

async function create(
  store: Store,
  key: string,
  body: Buffer,
  options: CallOptions,
): Promise<Created> {
  try {
    for (let attempt = 0; attempt < conflictsAllowed; attempt++) {
      const { result } = await store.create(key, body, options)
      if (result !== 'conflict') return result
    }
    return 'conflict'
  } catch (error) {
    if (error instanceof StoreError && error.reason === 'NotImplemented') return 'not supported'
    throw error
  }
}

/** A creator that does not know whether it won is no reason to end the race. */
function asUnanswered(error: unknown): StoreError {
  if (error instanceof StoreError && !error.definite) return error
  throw error
}

async function holds(
  store: Store,
  key: string,
  body: Buffer,
  options: CallOptions,
): Promise<boolean> {
  const found = await store.get(key, options)
  return found !== null && found !== 'not-modified' && found.body.equals(body)
}

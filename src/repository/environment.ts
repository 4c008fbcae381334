/** What this folder stands on, passed in by whoever builds it, so that a simulation can own all of it. */
import type { Clock, Randomness } from '../clock.ts'
import type { Identity } from '../git/objects.ts'
import type { Lock } from '../lock/lock.ts'
import type { Observer } from '../observe.ts'
import type { ListedObject, Store } from '../store/store.ts'
import type { PackCache } from './cache.ts'
import type { ObjectCache } from './object-cache.ts'

/** Formats from the first to the last, both included. */
export type FormatRange = readonly [number, number]

export interface Environment {
  store: Store
  /** Names this bucket's content; caches and checkpoints of another are of no use. */
  storeId: string
  lock: Lock
  clock: Clock
  random: Randomness
  observer: Observer
  /** Objects in memory, shared by all projects. */
  objects: ObjectCache
  /** The cache folder; null works without. */
  cache: PackCache | null
  settings: RepositorySettings
  /** Runs work that takes memory after what came before it, of any project. */
  inTurn<T>(work: () => Promise<T>): Promise<T>
  /** The same for looks at whole logs, which are many lists. */
  looksInTurn<T>(work: () => Promise<T>): Promise<T>
  /** Why writes are refused now (the store broke its contract at start), or null. */
  unfit(): string | null
}

export interface RepositorySettings {
  /** Version of this program; stands in every entry. */
  build: string
  formats: { reads: FormatRange; writes: FormatRange }
  /** Who commits. */
  committer: Identity
  /** STALE_READS: how old a proof may be while the store is away, seconds; 0 serves nothing stale. */
  staleReadsMaxSeconds: number
}

/** One call of the store may take so long, milliseconds; past it a read is 503 and a write is repeated. */
export const storeTimeoutMs = 5_000

const listPage = 1_000

/** Reads a whole object. @returns null where it is absent @throws StoreError */
export async function fetchWhole(store: Store, key: string): Promise<Buffer | null> {
  const object = await store.get(key, { timeoutMs: storeTimeoutMs })
  return object === null || object === 'not-modified' ? null : object.body
}

/**
 * Lists every object beneath a prefix, page by page.
 * @param after begins behind this key
 * @throws StoreError
 */
export async function* listAll(
  store: Store,
  prefix: string,
  after?: string,
): AsyncGenerator<ListedObject> {
  let startAfter = after
  for (;;) {
    const page = await store.list({
      prefix,
      ...(startAfter !== undefined && { startAfter }),
      limit: listPage,
      timeoutMs: storeTimeoutMs,
    })
    yield* page.objects
    if (page.next === null) return
    startAfter = page.next
  }
}

/** @returns what runs one piece of work after the other, whether they succeed or not */
export function createTurns(): Environment['inTurn'] {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const running = last.then(work)
    last = running.catch(() => {})
    return running
  }
}

/** Runs `work` on every item, a few at a time, and keeps their order. */
export async function mapParallel<Item, Result>(
  items: readonly Item[],
  atOnce: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results = new Array<Result>(items.length)
  let next = 0
  const worker = async () => {
    while (next < items.length) {
      const at = next++
      results[at] = await work(items[at] as Item)
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker))
  return results
}

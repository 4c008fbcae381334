/** Opens what the settings name: the store and the lock, each by the adapter for it, and repositories on them. */
import { hostname, totalmem } from 'node:os'
import { getHeapStatistics } from 'node:v8'
import type { Formats } from './cluster/formats.ts'
import type { Config } from './config.ts'
import type { Identity } from './git/objects.ts'
import { createLocalLock } from './lock/local.ts'
import type { Lock } from './lock/lock.ts'
import { createRotatingLock } from './lock/rotating.ts'
import type { Observer } from './observe.ts'
import { openPackCache } from './repository/cache.ts'
import { createRepositories } from './repository/repositories.ts'
import type { Repositories } from './repository/repository.ts'
import { revealTogether } from './secret.ts'
import { openFileStore } from './store/file.ts'
import type { RuledStore } from './store/probe.ts'
import type { Store } from './store/store.ts'
import { systemClock, systemRandomness } from './system-clock.ts'
import { version } from './version.ts'

/** @throws StoreError where a folder cannot be used; a bucket is not asked yet */
export async function openStore(config: Config): Promise<RuledStore> {
  const { store, accessKeyId, secretAccessKey, sessionToken } = config
  if (store.kind === 'file') return openFileStore(store.directory)
  // Loaded only here: its client takes a quarter of a second.
  const { openS3Store } = await import('./store/s3.ts')
  const key = [accessKeyId, secretAccessKey, sessionToken]
  return openS3Store({
    ...store,
    credentials() {
      const [id = '', secret = '', token] = revealTogether(key)
      return { accessKeyId: id, secretAccessKey: secret, sessionToken: token }
    },
  })
}

/** Redis where it is set, else a lock inside this process. */
export async function openLock({ redisUrls }: Config, observer: Observer): Promise<Lock> {
  if (redisUrls === undefined) return createLocalLock()
  const { createRedisLock } = await import('./lock/redis.ts')
  return createRotatingLock({
    address: () => redisUrls.reveal(),
    open: (address) =>
      createRedisLock({ urls: address.split(',').map((url) => url.trim()), observer }),
  })
}

/** Who commits. */
export function identityOf({ gitUser, gitEmail }: Config): Identity {
  return { name: gitUser, email: gitEmail }
}

const memoryMostBytes = 128 * 2 ** 20
/** Objects in memory, bytes. @param usableBytes what this process may use of the machine's memory */
export function objectMemory(usableBytes: number): number {
  return Math.min(memoryMostBytes, Math.floor(usableBytes / 12))
}

/**
 * The limit of the container where there is one; without one this is more than the machine has, or 0. Whoever limits Node's heap,
 * as the chart does, means it to be about half of what the process may use.
 */
function usableMemory(): number {
  const limit = process.constrainedMemory()
  const heap = 2 * getHeapStatistics().heap_size_limit
  return Math.min(limit > 0 ? limit : totalmem(), totalmem(), heap)
}

const passingMemoryMaxBytes = 16 * 2 ** 20

export interface RepositoriesParts {
  config: Config
  observer: Observer
  store: Store
  lock: Lock
  storeId: string
  /** Why the store must not be written to, or null. */
  unfit: string | null
  formats: Formats
}

/** The repositories that a replica serves from. */
export function openRepositories(parts: RepositoriesParts): Repositories {
  const { cacheMaxBytes: maxBytes, cacheDirectory: folder } = parts.config
  const options = optionsOf(parts)
  return createRepositories({
    ...options,
    cache: maxBytes === 0 ? null : openPackCache({ ...options, folder, maxBytes }),
    memoryMaxBytes: objectMemory(usableMemory()),
  })
}

/** Repositories for a migration: without a cache folder, and they read the tail of any project, whatever its format. */
export function openPassing(parts: RepositoriesParts): Repositories {
  const reads = [1, Number.MAX_SAFE_INTEGER] as const
  const { writes } = parts.formats
  return createRepositories({
    ...optionsOf({ ...parts, formats: { reads, writes } }),
    cache: null,
    memoryMaxBytes: passingMemoryMaxBytes,
  })
}

function optionsOf(parts: RepositoriesParts) {
  const { config, observer, store, lock, storeId, unfit, formats } = parts
  return {
    store,
    storeId,
    lock,
    clock: systemClock,
    random: systemRandomness,
    observer,
    settings: {
      build: version(),
      formats,
      committer: identityOf(config),
      staleReadsMaxSeconds: config.staleReads === 'serve' ? config.staleReadsMaxSeconds : 0,
    },
    unfit: () => unfit,
  }
}

/** Names this process among all others: the machine's (pod's) name, for people, and chance. */
export function newReplicaId(): string {
  const host = hostname().replaceAll(/[^A-Za-z0-9._-]/g, '_')
  return `${host}-${systemRandomness.uuid().slice(0, 8)}`
}

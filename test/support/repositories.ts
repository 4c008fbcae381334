import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Lock } from '../../src/lock/lock.ts'
import { silent } from '../../src/observe.ts'
import { openPackCache } from '../../src/repository/cache.ts'
import { createRepositories, type RepositoriesOptions } from '../../src/repository/repositories.ts'
import type { ProjectName, Repositories } from '../../src/repository/repository.ts'
import { openFileStore } from '../../src/store/file.ts'
import type { Store } from '../../src/store/store.ts'
import { systemClock, systemRandomness } from '../../src/system-clock.ts'

export const committer = { name: 'keptn', email: 'keptn@example.com' }

/** A lock that helps nobody: what holds with it holds with any. */
export const grantsEverybody: Lock = {
  acquire: async () => ({ result: 'held', contended: false, release: async () => {} }),
  async close() {},
}

/** What tests replace; of a cache folder they name where it is, and how large it may become. */
export type Changed = Partial<
  Omit<RepositoriesOptions, 'cache'> & { cache: { folder: string; maxBytes: number } | null }
>

/** Options of a replica over a store, for tests; each field may be replaced. */
export function replicaOptions(
  store: Store,
  { cache, ...changed }: Changed = {},
): RepositoriesOptions {
  const options: RepositoriesOptions = {
    store,
    storeId: 'test',
    lock: grantsEverybody,
    clock: systemClock,
    random: systemRandomness,
    observer: silent,
    cache: null,
    memoryMaxBytes: 16 * 1024 * 1024,
    settings: {
      build: '0.0.0-test',
      formats: { reads: [1, 2], writes: [1, 2] },
      committer,
      staleReadsMaxSeconds: 300,
    },
    unfit: () => null,
    ...changed,
  }
  return cache ? { ...options, cache: openPackCache({ ...options, ...cache }) } : options
}

export interface Bench {
  folder: string
  store: Store
  repositories: Repositories
  /** Another replica on the same store, with nothing in memory. */
  another(changed?: Changed): Repositories
  close(): Promise<void>
}

/** A replica over a file store in a folder of its own, which `close` removes. */
export async function openBench(changed: Changed = {}): Promise<Bench> {
  const folder = await mkdtemp(join(tmpdir(), 'repository-'))
  const store = await openFileStore(join(folder, 'store'))
  const opened: Repositories[] = []
  const another: Bench['another'] = (more = {}) => {
    const repositories = createRepositories(replicaOptions(store, { ...changed, ...more }))
    opened.push(repositories)
    return repositories
  }
  return {
    folder,
    store,
    repositories: another(),
    another,
    async close() {
      for (const repositories of opened) await repositories.close()
      await store.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

export function projectName(text: string): ProjectName {
  return text as ProjectName
}

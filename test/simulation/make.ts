/** The real repository, built from virtual parts. */

import type { FormatRange } from '../../src/repository/environment.ts'
import { createRepositories } from '../../src/repository/repositories.ts'
import type { MakeReplica, Parts } from './replicas.ts'

export const committer = { name: 'Service', email: 'service@example.org' }

/** What a build is, and how its replicas are set. */
export interface Settings {
  build: string
  formats: { reads: FormatRange; writes: FormatRange }
  /** 300 unless told. */
  staleReadsMaxSeconds?: number
}

/** Opens repositories over virtual parts. */
export function repositoriesOf(parts: Parts, settings: Settings) {
  return createRepositories({
    ...parts,
    storeId: 'virtual',
    settings: { staleReadsMaxSeconds: 300, ...settings, committer },
    unfit: () => null,
  })
}

/** A replica that is alone with its projects: no cluster, one format. */
export const make: MakeReplica = (parts) => ({
  repositories: repositoriesOf(parts, {
    build: '0.0.0-simulation',
    formats: { reads: [1, 1], writes: [1, 1] },
  }),
})

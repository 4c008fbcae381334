/** The real repository, built from virtual parts. */
import { createRepositories } from '../../src/repository/repositories.ts'
import type { MakeRepositories } from './replicas.ts'

export const make: MakeRepositories = (parts) =>
  createRepositories({
    ...parts,
    storeId: 'virtual',
    cache: null,
    memoryMaxBytes: 4 * 1024 * 1024,
    settings: {
      build: '0.0.0-simulation',
      formats: { reads: [1, 1], writes: [1, 1] },
      committer: { name: 'Service', email: 'service@example.org' },
      staleReadsMaxSeconds: 300,
    },
    unfit: () => null,
  })

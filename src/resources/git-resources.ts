/** Puts together what `resources.ts` describes. */
import type { Clock } from '../clock.ts'
import type { Repositories } from '../repository/repository.ts'
import { createProjects } from './projects.ts'
import { createReading } from './reading.ts'
import type { Resources } from './resources.ts'
import { createWriting } from './writing.ts'

/**
 * Builds the resources of all projects.
 * @param options.defaultBranch of projects that are created from now on
 */
export function createResources(options: {
  repositories: Repositories
  clock: Clock
  defaultBranch: string
}): Resources {
  const { repositories, clock, defaultBranch } = options
  return {
    ...createProjects(repositories, defaultBranch),
    ...createReading(repositories),
    ...createWriting(repositories, clock),
  }
}

/** Puts together what `resources.ts` describes. */
import type { Clock } from '../clock.ts'
import { ServiceError } from '../errors.ts'
import type { Repositories } from '../repository/repository.ts'
import { createChanges } from './changes.ts'
import { createProjects, type ProjectRules } from './projects.ts'
import { createReading } from './reading.ts'
import type { Resources } from './resources.ts'
import { createRestoring } from './restoring.ts'
import { createStates } from './states.ts'
import { createPlanner, createWriting } from './writing.ts'

/**
 * Builds the resources of all projects.
 * @param options.newFormat default: format 1
 * @param options.settle default: a project stays what it was
 * @param options.refuseMigration default: not_supported
 */
export function createResources(
  options: {
    repositories: Repositories
    clock: Clock
  } & Pick<ProjectRules, 'defaultBranch'> &
    Partial<ProjectRules>,
): Resources {
  const { repositories, clock } = options
  const planFiles = createPlanner(clock)
  const rules = { newFormat: () => 1, settle: async () => {}, refuseMigration, ...options }
  return {
    ...createProjects(repositories, rules),
    ...createReading(repositories),
    ...createStates(repositories, clock),
    ...createWriting(repositories, planFiles),
    ...createChanges(repositories, planFiles),
    ...createRestoring(repositories),
  }
}

async function refuseMigration(): Promise<ServiceError> {
  return new ServiceError('not_supported', 'migrate is not supported by this build')
}

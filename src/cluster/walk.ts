/** Visits every project of the store, a few at a time. */
import { mapParallel } from '../repository/environment.ts'
import type { ProjectName, Repositories } from '../repository/repository.ts'

/** Far more than a read or a conversion takes; a store that is away ends it. */
export const visitTimeoutMs = 25_000
const atOnce = 8
const listPage = 1_000
/** Repositories keep what they have opened: they are closed and opened again after so many. */
const perOpening = 256

/** What a project's tail says. */
export interface Found {
  project: ProjectName
  /** Of its tree layout. */
  format: number
  exists: boolean
}

/** Names of all projects that were ever created. @throws store_unavailable */
export async function listProjects(
  repositories: Pick<Repositories, 'listNames'>,
): Promise<ProjectName[]> {
  const names: ProjectName[] = []
  for (let more = true; more; ) {
    const after = names.at(-1)
    const page = await repositories.listNames({
      ...(after !== undefined && { after }),
      limit: listPage,
    })
    names.push(...page.names)
    more = page.more && page.names.length > 0
  }
  return names
}

/** Reads a project's tail. @returns null for a log without entries @throws as `Repositories.read` */
export async function lookAt(
  repositories: Repositories,
  project: ProjectName,
): Promise<Found | null> {
  const { value } = await repositories.read(
    project,
    async ({ seq, format, exists }) => (seq === 0 ? null : { project, format, exists }),
    { timeoutMs: visitTimeoutMs },
  )
  return value
}

/**
 * Visits every project there is.
 * @param options.open opens repositories for a while, without a cache
 * @param options.visit told of each; what it throws ends the walk
 * @param options.onVisited told after each visit
 * @param options.isOver ends the walk early
 */
export async function walkProjects(options: {
  open: () => Repositories
  visit: (repositories: Repositories, project: ProjectName) => Promise<void>
  onVisited?: (visited: number, total: number) => void
  isOver?: () => boolean
}): Promise<void> {
  const first = options.open()
  let visited = 0
  let names: ProjectName[]
  try {
    names = await listProjects(first)
  } finally {
    await first.close()
  }
  for (let from = 0; from < names.length; from += perOpening) {
    const repositories = options.open()
    try {
      await mapParallel(names.slice(from, from + perOpening), atOnce, async (project) => {
        if (options.isOver?.()) return
        await options.visit(repositories, project)
        options.onVisited?.(++visited, names.length)
      })
    } finally {
      await repositories.close()
    }
  }
}

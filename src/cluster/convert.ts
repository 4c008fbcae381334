/** Projects from one format to another, one at a time. */
import type { Identity } from '../git/objects.ts'
import type { Draft, Outcome, ProjectName, Repositories } from '../repository/repository.ts'
import type { Migration } from './migration.ts'

export interface Conversions {
  /**
   * Takes a project to a format, in one entry. A user's write that is first is kept: the conversion is evaluated again on top.
   * @param options.timeoutMs until it gives up; it may then take effect or not, as any write
   * @returns the outcome; where the project has the format already nothing is written
   * @throws as `Repositories.write`
   */
  convert(
    repositories: Repositories,
    project: ProjectName,
    options: { format: number; timeoutMs: number },
  ): Promise<Outcome>
  /** Resolves once everything that was begun before has ended; undefined where nothing goes on. */
  quiet(): Promise<unknown> | undefined
}

/** @param options.committer who commits what a migration changes */
export function createConversions(options: {
  migrations: readonly Migration[]
  committer: Identity
}): Conversions {
  const { migrations, committer } = options
  const underWay = new Set<Promise<unknown>>()
  return {
    async convert(repositories, project, { format, timeoutMs }) {
      const conversion = repositories.write(project, {
        kind: 'upgrade',
        async evaluate(draft) {
          while (draft.format !== format) await step(draft, migrations, format)
          return { status: 200 }
        },
        principal: '',
        author: committer,
        sizeBytes: 0,
        timeoutMs,
      })
      underWay.add(conversion)
      try {
        return await conversion
      } finally {
        underWay.delete(conversion)
      }
    },
    quiet: () => (underWay.size === 0 ? undefined : Promise.allSettled([...underWay])),
  }
}

/** One format up or down. */
async function step(draft: Draft, migrations: readonly Migration[], target: number): Promise<void> {
  const isUp = draft.format < target
  const to = isUp ? draft.format + 1 : draft.format - 1
  const migration = migrations[isUp ? draft.format : draft.format - 1]
  const envelope = migrations[to - 1]
  if (migration === undefined || envelope === undefined) {
    throw new Error(`no migration leads from format ${draft.format} to ${to}`)
  }
  if (!draft.exists) return draft.setFormat({ ...limitsOf(envelope), format: to })
  await (isUp ? migration.up(draft) : migration.down(draft))
  if (draft.format !== to) throw new Error(`migration ${migration.name} did not lead to ${to}`)
}

function limitsOf({ minReader, minWriter }: Migration) {
  return { minReader, minWriter }
}

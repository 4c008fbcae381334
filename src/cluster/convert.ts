/** Projects from one format to another, one at a time. */
import { isServiceError } from '../errors.ts'
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
  /** Resolves once the outcome of everything that was begun before is known; undefined where nothing goes on. */
  quiet(): Promise<unknown> | undefined
}

/** Then its store is away, and what was sent is too old to land. */
const triesMost = 5
const outages = ['outcome_unknown', 'not_written', 'store_unavailable'] as const

/** @param options.committer who commits what a migration changes */
export function createConversions(options: {
  migrations: readonly Migration[]
  committer: Identity
}): Conversions {
  const { migrations, committer } = options
  const underWay = new Set<Promise<unknown>>()

  /**
   * Brings a conversion whose outcome nobody knows to an end: it may land as long as nothing else takes its slot, also after a
   * later target was agreed.
   */
  const untilKnown = async (attempt: Promise<Outcome>, again: () => Promise<Outcome>) => {
    let next = attempt
    for (let tries = 1; tries <= triesMost; tries++) {
      try {
        await next
        return
      } catch (error) {
        // That a later attempt was not written says nothing of the first.
        const leavesOpen = tries === 1 ? ['outcome_unknown' as const] : outages
        if (!leavesOpen.some((code) => isServiceError(error, code))) return
      }
      next = again()
    }
    next.catch(() => {})
  }

  return {
    convert(repositories, project, { format, timeoutMs }) {
      const attempt = () =>
        repositories.write(project, {
          kind: 'upgrade',
          async evaluate(draft) {
            await convertDraft(draft, migrations, format)
            return { status: 200 }
          },
          principal: '',
          author: committer,
          sizeBytes: 0,
          timeoutMs,
        })
      const first = attempt()
      const known = untilKnown(first, attempt).finally(() => underWay.delete(known))
      underWay.add(known)
      return first
    },
    quiet: () => (underWay.size === 0 ? undefined : Promise.all([...underWay])),
  }
}

/** Takes the project of a draft to a format, one after the other. */
export async function convertDraft(
  draft: Draft,
  migrations: readonly Migration[],
  format: number,
): Promise<void> {
  while (draft.format !== format) await step(draft, migrations, format)
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

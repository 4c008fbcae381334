/** `migrate expand`: adds to every project what builds of a newer format look for, and older ones do not notice. */
import { isServiceError } from '../errors.ts'
import type { Identity } from '../git/objects.ts'
import type { ProjectName, Repositories } from '../repository/repository.ts'
import type { ClusterLog } from './cluster-log.ts'
import { canHandle, formatsOf, outOfRange, unfitFor } from './formats.ts'
import type { Migration } from './migration.ts'
import { type ClusterState, newFormatOf } from './state.ts'
import { lookAt, visitTimeoutMs, walkProjects } from './walk.ts'

/** How a verb ended; the numbers are exit codes. */
export const verdicts = { done: 0, more: 1, failed: 2, refused: 3 } as const
export type Verdict = keyof typeof verdicts

export const interrupted = 'interrupted: run it again to go on'

export interface Progress {
  /** `expand`, `to 2`. */
  what: string
  visited: number
  total: number
}

/** What every verb works with. */
export interface Runner {
  log: ClusterLog
  migrations: readonly Migration[]
  /** Opens repositories for a while, without a cache, that read the tail of any format. */
  open: () => Repositories
  committer: Identity
  /** Why the store must not be written to, or null. */
  unfit: string | null
  onProgress?: (progress: Progress) => void
  isOver?: () => boolean
  dryRun?: boolean
}

export interface ExpandReport {
  verdict: Verdict
  /** For people: what is the matter, or what was done. */
  message: string
  expanded: number
  projects: number
  /** Names of projects that are stopped, and were passed over. */
  stopped: ProjectName[]
}

/**
 * Expands the store for this build. Run twice, or twice at once, it does the same as once.
 * @param runner.dryRun only says what would be done
 * @returns `refused` where this build cannot write what is there
 * @throws StoreError, ClusterLogError, ServiceError of an outage: run again
 */
export async function expand(runner: Runner): Promise<ExpandReport> {
  const state = await runner.log.follow()
  const refusal = runner.unfit ?? unfitFor(state, formatsOf(runner.migrations))
  if (refusal === null) return expandAll(runner)
  return { ...reportOf(state), verdict: 'refused', message: refusal }
}

function reportOf({ expanded }: ClusterState): ExpandReport {
  return { verdict: 'done', message: '', expanded, projects: 0, stopped: [] }
}

/** As `expand`, for who has looked at what the cluster decided: `to` may, with a proposal before it that it replaces. */
export async function expandAll(runner: Runner): Promise<ExpandReport> {
  const { log, migrations } = runner
  const formats = formatsOf(migrations)
  const newest = formats.writes[1]
  const { state } = log
  const report = reportOf(state)
  const present = new Set<number>()
  const strays: { project: ProjectName; format: number }[] = []
  await walkProjects({
    open: runner.open,
    onVisited: tellProgress(runner, 'expand'),
    ...(runner.isOver && { isOver: runner.isOver }),
    async visit(repositories, project) {
      try {
        const found = await lookAt(repositories, project)
        if (found === null) return
        report.projects++
        present.add(found.format)
        if (!canHandle(formats, found.format)) strays.push(found)
        else if (found.exists && !runner.dryRun) {
          const pending = migrations.filter(({ format }) => format > state.expanded)
          await expandProject(runner, repositories, { project, pending })
        }
      } catch (error) {
        if (!isServiceError(error, 'project_stopped')) throw error
        report.stopped.push(project)
      }
    },
  })
  const [stray] = strays
  if (stray !== undefined) {
    const others = strays.length === 1 ? '' : ` and ${strays.length - 1} more`
    const message = outOfRange(
      `project ${stray.project}${others} has format ${stray.format}`,
      stray.format,
      formats,
    )
    return { ...report, verdict: 'refused', message }
  }
  if (runner.isOver?.()) return { ...report, verdict: 'more', message: interrupted }
  if (runner.dryRun) return { ...report, message: `would expand to format ${newest}` }
  const found = present.size > 0 ? [...present] : [newFormatOf(state, formats.writes[0])]
  const after = await log.append(({ expanded }) =>
    expanded >= newest ? null : { kind: 'expanded', format: newest, formats: found },
  )
  return {
    ...report,
    expanded: after.expanded,
    message: `everything that builds of format ${newest} look for is there`,
  }
}

async function expandProject(
  { committer }: Runner,
  repositories: Repositories,
  { project, pending }: { project: ProjectName; pending: readonly Migration[] },
): Promise<void> {
  if (pending.length === 0) return
  await repositories.write(project, {
    kind: 'commit',
    async evaluate(draft) {
      if (draft.exists) for (const migration of pending) await migration.expand(draft)
      return { status: 200 }
    },
    principal: '',
    author: committer,
    sizeBytes: 0,
    timeoutMs: visitTimeoutMs,
  })
}

export function tellProgress({ onProgress }: Runner, what: string) {
  return (visited: number, total: number) => onProgress?.({ what, visited, total })
}

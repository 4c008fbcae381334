/** `migrate status`: where the cluster stands; changes nothing. */
import { isServiceError } from '../errors.ts'
import type { ProjectName } from '../repository/repository.ts'
import type { Store } from '../store/store.ts'
import { type Announced, type ClusterTimes, listAnnouncements } from './announcement.ts'
import { type Blocker, blockersOf, type Liveness, livenessOf } from './blockers.ts'
import type { Runner } from './expand.ts'
import { type Formats, formatsOf, unfitFor } from './formats.ts'
import type { ClusterState } from './state.ts'
import { lookAt, walkProjects } from './walk.ts'

export interface StatusReport {
  /** What this build handles, and why it may not serve this store; null where it may. */
  build: Formats & { unfit: string | null }
  expanded: number
  target: { format: number; state: 'proposed' | 'agreed' | 'reached'; since: string } | null
  /** Numbers of projects by format; those that were deleted count too, they may be created again. */
  projects: { total: number; byFormat: Record<string, number>; stopped: ProjectName[] }
  replicas: (Announced & { liveness: Liveness })[]
  /** Who keeps the cluster from the target, or, without one, from the newest format of this build. */
  blockers: Blocker[]
}

/** @throws StoreError, ClusterLogError, ServiceError of an outage */
export async function readStatus(
  options: Runner & { store: Store; times: ClusterTimes },
): Promise<StatusReport> {
  const { log, migrations, store, times } = options
  const formats = formatsOf(migrations)
  const state = await log.follow()
  const announced = await listAnnouncements(store)
  const target = targetOf(state)
  const wanted = target?.format ?? formats.writes[1]
  return {
    build: { ...formats, unfit: unfitFor(state, formats) },
    expanded: state.expanded,
    target,
    projects: await countProjects(options),
    replicas: announced.map((one) => ({ ...one, liveness: livenessOf(one, state, times) })),
    blockers: blockersOf(wanted, announced, { state, times }),
  }
}

function targetOf({ proposed, agreed }: ClusterState): StatusReport['target'] {
  if (proposed !== null) {
    return { format: proposed.format, state: 'proposed', since: proposed.at }
  }
  if (agreed === null) return null
  const { format, at } = agreed
  return { format, state: agreed.reached ? 'reached' : 'agreed', since: at }
}

async function countProjects(runner: Runner): Promise<StatusReport['projects']> {
  const byFormat = new Map<number, number>()
  const stopped: ProjectName[] = []
  await walkProjects({
    open: runner.open,
    async visit(repositories, project) {
      try {
        const found = await lookAt(repositories, project)
        if (found !== null) byFormat.set(found.format, (byFormat.get(found.format) ?? 0) + 1)
      } catch (error) {
        if (!isServiceError(error, 'project_stopped')) throw error
        stopped.push(project)
      }
    },
  })
  const total = [...byFormat.values()].reduce((sum, count) => sum + count, stopped.length)
  return { total, byFormat: Object.fromEntries(byFormat), stopped }
}

/** Writes of files: planned before they are queued, then evaluated as often as other writers are first. */
import type { Clock } from '../clock.ts'
import { ServiceError } from '../errors.ts'
import type { Oid, TreeEntry } from '../git/objects.ts'
import { prepareBlobs } from '../repository/draft.ts'
import type {
  Draft,
  Outcome,
  ProjectName,
  Repositories,
  WriteKind,
  WriteRequest,
} from '../repository/repository.ts'
import { createBudget } from './budget.ts'
import { parseChartPath } from './chart.ts'
import { unpackChart, unpackedBytesAtMost } from './chart-unpack.ts'
import { notFound } from './layout.ts'
import { messageOf } from './message.ts'
import { maxMetadataBytes, metadataFile, readMetadata } from './metadata.ts'
import { invalidPath, isGitAttributes, parseResourcePath } from './paths.ts'
import { commitPlace, findPlace, isReserved, layoutOf, type Place } from './place.ts'
import { contentsOf, emptyPlan, type FolderPlan, planFile, planReplacedFolder } from './plan.ts'
import type {
  FileWrite,
  Precondition,
  ResourcePath,
  Resources,
  Scope,
  WriteContext,
} from './resources.ts'
import { applyPlan, findEntry, isFile, isFolder, putEntry } from './tree.ts'

/** What all archives that are being unpacked, or wait unpacked for their turn, may take together. */
const unpackBudgetBytes = 256 * 1024 * 1024
/** Git refuses attributes with a longer line. @see git-fsck, gitattributesLineLength */
const maxAttributesLineBytes = 2047

type PlannedContext = WriteContext & Pick<WriteRequest, 'blobs'>

interface Planned {
  /** One for each group. */
  plans: readonly FolderPlan[]
  /** What is left of the time, with the size of what was unpacked, and with large contents made into blobs. */
  context: PlannedContext
  release(): void
}

/** Plans what requests write, within a budget of what their archives unpack to. */
export type PlanFiles = (
  /** What is planned by itself, such as the files of one scope. */
  groups: readonly (readonly FileWrite[])[],
  context: WriteContext,
) => Promise<Planned>

export function createPlanner(clock: Clock): PlanFiles {
  const budget = createBudget(unpackBudgetBytes, clock)
  return async (groups, context) => {
    const startMs = clock.monotonicMs()
    const archives = groups.flat().filter(({ path }) => parseChartPath(path) !== null)
    const roomBytes = unpackedBytesAtMost(archives.map(({ content }) => content))
    // Once for all groups: who waited for more while it holds some could wait for ever.
    const share = roomBytes === 0 ? null : await budget.take(roomBytes, context.timeoutMs)
    try {
      const plans: FolderPlan[] = []
      let chartBytes = 0
      for (const files of groups) {
        const planned = await planAll(files, roomBytes - chartBytes)
        plans.push(planned.plan)
        chartBytes += planned.chartBytes
      }
      share?.shrink(chartBytes)
      const blobs = await prepareBlobs(plans.flatMap((plan) => [...contentsOf(plan)]))
      const timeoutMs = Math.max(0, context.timeoutMs - (clock.monotonicMs() - startMs))
      const left = { ...context, sizeBytes: context.sizeBytes + chartBytes, timeoutMs, blobs }
      return { plans, context: left, release: () => share?.release() }
    } catch (error) {
      share?.release()
      throw error
    }
  }
}

export function createWriting(
  repositories: Repositories,
  planFiles: PlanFiles,
): Pick<Resources, 'writeFiles' | 'deleteFile'> {
  return {
    async writeFiles(scope, files, status, context, precondition = {}) {
      const only = files.length === 1 ? files[0] : undefined
      if (hasCondition(precondition) && only === undefined) {
        throw new ServiceError('invalid_request', 'a condition is for the write of one file')
      }
      for (const { path } of files) checkWritable(scope, path)
      const declared = declaredStructure(scope, files)
      const message = messageOf(
        context,
        'Write',
        scope,
        files.map(({ path }) => path),
      )
      const planned = await planFiles([files], context)
      const [plan = emptyPlan()] = planned.plans
      try {
        return await write(
          repositories,
          scope.project,
          'commit',
          planned.context,
          async (draft) => {
            const place = await findPlace(draft, scope)
            if (only !== undefined) await checkPrecondition(draft, place, only.path, precondition)
            checkStructure(draft, scope, declared)
            const tree = await applyPlan(draft, place.tree, plan)
            return { status, commit: await commitPlace(draft, place, { tree, message }) }
          },
        )
      } finally {
        planned.release()
      }
    },

    async deleteFile(scope, path, context, precondition = {}) {
      checkWritable(scope, path)
      const message = messageOf(context, 'Delete', scope, [path])
      const declared = scope.service === undefined && path === metadataFile ? false : null
      return write(repositories, scope.project, 'commit', context, async (draft) => {
        const place = await findPlace(draft, scope)
        await checkPrecondition(draft, place, path, precondition)
        checkStructure(draft, scope, declared)
        const tree = await removePath(draft, place.tree, path)
        return { status: 200, commit: await commitPlace(draft, place, { tree, message }) }
      })
    },
  }
}

async function planAll(files: readonly FileWrite[], roomBytes: number) {
  const plan = emptyPlan()
  let chartBytes = 0
  for (const { path, content } of files) {
    const chart = parseChartPath(path)
    if (chart === null) {
      planFile(plan, path, { content })
    } else {
      const maxTarBytes = roomBytes - chartBytes
      const unpacked = await unpackChart(content, chart, { maxTarBytes })
      chartBytes += unpacked.sizeBytes
      planReplacedFolder(plan, unpacked.plan, { path: chart.folder, archive: chart.archive })
    }
  }
  checkAttributes(plan)
  return { plan, chartBytes }
}

/** Queues a write, with all that its caller said of it. */
export function write(
  repositories: Repositories,
  project: ProjectName,
  kind: WriteKind,
  context: PlannedContext,
  evaluate: (draft: Draft) => Promise<Outcome>,
): Promise<Outcome> {
  const { message: _, onBehalfOf: __, ...request } = context
  return repositories.write(project, { kind, evaluate, ...request })
}

export function checkWritable(scope: Scope, path: ResourcePath): void {
  if (isReserved(scope, path)) throw invalidPath(`${path.split('/', 1)[0]}/ is reserved`)
  const chart = parseChartPath(path)
  if (chart === null) return
  // `helm/...tgz` is a fine file, but its folder would be `..`.
  const inside = `${chart.folder}/Chart.yaml`
  if (parseResourcePath(inside) !== inside) throw invalidPath()
}

/** Removes a file, a folder, or a chart: its folder, and an archive that was imported. @throws resource_not_found */
export async function removePath(draft: Draft, tree: Oid, path: ResourcePath): Promise<Oid | null> {
  const chart = parseChartPath(path)
  const steps =
    chart === null
      ? [{ at: path, goes: (entry: TreeEntry) => isFile(entry) || isFolder(entry) }]
      : [
          { at: chart.folder, goes: isFolder },
          { at: chart.archive, goes: isFile },
        ]
  let left: Oid | null = tree
  for (const { at, goes } of steps) {
    const segments = at.split('/')
    const entry = left === null ? null : await findEntry(draft, left, segments)
    if (left !== null && entry !== null && goes(entry))
      left = await putEntry(draft, left, segments, null)
  }
  if (left === tree) throw notFound('resource')
  return left
}

function hasCondition({ match, absent }: Precondition): boolean {
  return match !== undefined || absent === true
}

/** @throws precondition_failed */
async function checkPrecondition(
  draft: Draft,
  place: Place,
  path: ResourcePath,
  precondition: Precondition,
): Promise<void> {
  if (!hasCondition(precondition)) return
  const oid = await findTagged(draft, place.tree, path)
  const { match, absent } = precondition
  if (absent === true && oid !== null) {
    throw new ServiceError('precondition_failed', `${path} exists already`)
  }
  if (match === undefined) return
  if (oid === null) throw new ServiceError('precondition_failed', `${path} does not exist`)
  if (match !== '*' && !match.includes(oid)) {
    throw new ServiceError('precondition_failed', `${path} has changed`)
  }
}

/** The id in a file's tag: the file's own, or for a chart its folder's. */
async function findTagged(draft: Draft, tree: Oid, path: ResourcePath): Promise<Oid | null> {
  const chart = parseChartPath(path)
  const folder = chart === null ? null : await findEntry(draft, tree, chart.folder.split('/'))
  if (folder !== null && isFolder(folder)) return folder.oid
  const entry = await findEntry(draft, tree, path.split('/'))
  return entry !== null && isFile(entry) ? entry.oid : null
}

/** What a new `metadata.yaml` of a project or a stage says of where stages are; null where the request writes none. */
export function declaredStructure(scope: Scope, files: readonly FileWrite[]): boolean | null {
  if (scope.service !== undefined) return null
  const metadata = files.findLast(({ path }) => path === metadataFile)
  if (metadata === undefined) return null
  if (metadata.content.length > maxMetadataBytes) {
    throw new ServiceError(
      'invalid_request',
      `${metadataFile} is larger than ${maxMetadataBytes} bytes`,
    )
  }
  return readMetadata(metadata.content).isUsingDirectoryStructure
}

/** A stage, whether it is a branch or could be one again, never has folders of stages. */
export function checkStructure(draft: Draft, { stage }: Scope, declared: boolean | null): void {
  const layout = layoutOf(draft.format)
  const is = stage === undefined && layout.isUsingDirectoryStructure
  if (declared === null || declared === is) return
  const sentence = `isUsingDirectoryStructure in ${metadataFile} tells the project's format: it may not be turned here`
  throw new ServiceError('conflict', sentence)
}

/** @throws invalid_request for attributes that Git would refuse */
function checkAttributes(plan: FolderPlan, prefix = ''): void {
  for (const [name, entry] of plan.entries) {
    if (entry.kind === 'folder') checkAttributes(entry, `${prefix}${name}/`)
    if (entry.kind === 'file' && isGitAttributes(name) && hasLongLine(entry.content)) {
      const sentence = `${prefix}${name} has a line longer than ${maxAttributesLineBytes} bytes`
      throw new ServiceError('invalid_request', sentence)
    }
  }
}

function hasLongLine(content: Buffer): boolean {
  return content
    .toString('latin1')
    .split('\n')
    .some((line) => line.length > maxAttributesLineBytes)
}

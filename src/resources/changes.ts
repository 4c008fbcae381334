/**
 * Batches: changes of several scopes of a project that are done together or not at all, in one commit for each branch that they
 * touch.
 */
import { ServiceError } from '../errors.ts'
import type { Oid } from '../git/objects.ts'
import type { Draft, Outcome, ProjectName, Repositories } from '../repository/repository.ts'
import { parseChartPath } from './chart.ts'
import { diffTrees } from './diff.ts'
import { branchRef, notFound } from './layout.ts'
import { messageOf } from './message.ts'
import { metadataFile } from './metadata.ts'
import { findPlace, hidingIn, type Place } from './place.ts'
import type { FolderPlan } from './plan.ts'
import type {
  Batch,
  Change,
  Located,
  Preview,
  ResourcePath,
  Resources,
  Scope,
  StageName,
  WriteContext,
} from './resources.ts'
import {
  applyPlan,
  checkWay,
  conflict,
  findEntry,
  graft,
  isFile,
  isFolder,
  putEntry,
} from './tree.ts'
import {
  checkStructure,
  checkWritable,
  declaredStructure,
  type PlanFiles,
  removePath,
  write,
} from './writing.ts'

type Changes = Pick<Resources, 'changeFiles' | 'previewChanges'>

/** A change and, of a file, what its content means for the tree. */
type Step = Change & { plan?: FolderPlan }

export function createChanges(repositories: Repositories, planFiles: PlanFiles): Changes {
  /** @param evaluate given the trees as the batch leaves them; called again whenever another writer was first */
  const perform = async (
    project: ProjectName,
    { changes, expected }: Batch,
    context: WriteContext,
    evaluate: (work: Worktree) => Promise<Outcome>,
  ): Promise<Outcome> => {
    for (const change of changes) checkChange(change)
    const puts = changes.filter((change) => change.kind === 'put')
    const planned = await planFiles(
      puts.map((put) => [put]),
      context,
    )
    const plans = new Map(puts.map((put, index) => [put, planned.plans[index]]))
    try {
      return await write(repositories, project, 'commit', planned.context, async (draft) => {
        const work = createWorktree(draft, project)
        for (const { scope, head } of expected) await checkHead(work, scope, head)
        for (const change of changes) {
          const plan = change.kind === 'put' ? plans.get(change) : undefined
          await apply(draft, work, plan === undefined ? change : { ...change, plan })
        }
        return evaluate(work)
      })
    } finally {
      planned.release()
    }
  }

  return {
    changeFiles(project, batch, context) {
      const paths = batch.changes.map(({ path }) => path)
      const message = messageOf(context, 'Change', { project }, paths)
      return perform(project, batch, context, async (work) => {
        await work.commit(message)
        const [first] = batch.changes
        const scope = first?.scope ?? { project }
        return { status: 200, commit: await work.headOf(scope) }
      })
    },

    async previewChanges(project, batch, context) {
      let preview: Preview = []
      const outcome = await perform(project, batch, context, async (work) => {
        preview = await work.diff()
        // A refusal leaves the log as it is, and is proven as a read is.
        throw new DryRun()
      })
      return outcome.message === dryRunSentence ? preview : outcome
    },
  }
}

const dryRunSentence = 'a dry run changes nothing'

class DryRun extends ServiceError {
  constructor() {
    super('conflict', dryRunSentence)
  }
}

/** Trees of a project's scopes while a batch changes them. */
interface Worktree {
  /** The tree of a scope as it is now. @throws stage_not_found, service_not_found */
  read(scope: Scope): Promise<Oid>
  /** @param tree null for an empty one */
  write(scope: Scope, tree: Oid | null): Promise<void>
  /** The tip of the branch that holds a scope. */
  headOf(scope: Scope): Promise<Oid>
  diff(): Promise<Preview>
  /** Makes one commit for each branch of which something changed. */
  commit(message: string): Promise<void>
}

/** The files of the project itself, or of a stage. */
interface Base {
  place: Place
  /** What became of `place.tree`. */
  tree: Oid
}

function createWorktree(draft: Draft, project: ProjectName): Worktree {
  const bases = new Map<StageName | undefined, Base>()

  const baseOf = async ({ stage }: Scope): Promise<Base> => {
    let base = bases.get(stage)
    if (base === undefined) {
      const place = await findPlace(draft, stage === undefined ? { project } : { project, stage })
      base = { place, tree: place.tree }
      bases.set(stage, base)
    }
    return base
  }

  return {
    async read(scope) {
      const { tree } = await baseOf(scope)
      if (scope.service === undefined) return tree
      const entry = await findEntry(draft, tree, [scope.service])
      if (entry === null || !isFolder(entry)) throw notFound('service')
      return entry.oid
    },

    async write(scope, tree) {
      const base = await baseOf(scope)
      const path = scope.service === undefined ? [] : [scope.service]
      base.tree = (await graft(draft, base.tree, path, tree)) ?? draft.writeTree([])
    },

    async headOf(scope) {
      const { place } = await baseOf(scope)
      return draft.refs.get(branchRef(place.branch)) ?? place.commit
    },

    async diff() {
      const changes: Preview[] = []
      for (const [stage, { place, tree }] of bases) {
        const files = await diffTrees(draft, place.tree, tree, hidingIn(place.scope))
        changes.push(files.map((file) => (stage === undefined ? file : { ...file, stage })))
      }
      return changes.flat()
    },

    async commit(message) {
      const roots = new Map<string, { from: Oid; to: Oid }>()
      // The project's own first: where stages are folders, theirs go into what it leaves.
      const sorted = [...bases].sort(([a = ''], [b = '']) => Number(a > b) - Number(a < b))
      for (const [, { place, tree }] of sorted) {
        const { branch, root, layout, scope } = place
        const { from, to } = roots.get(branch) ?? { from: root, to: root }
        const next = await graft(draft, to, layout.pathOf(scope, []), tree)
        roots.set(branch, { from, to: next ?? draft.writeTree([]) })
      }
      for (const [branch, { from, to }] of roots) {
        if (from !== to) draft.commit(branch, { tree: to, message })
      }
    },
  }
}

async function checkHead(work: Worktree, scope: Scope, head: Oid): Promise<void> {
  const found = await work.headOf(scope)
  if (found === head) return
  const what = scope.stage === undefined ? `project ${scope.project}` : `stage ${scope.stage}`
  throw new ServiceError('precondition_failed', `${what} is at ${found}, not at ${head}`)
}

async function apply(draft: Draft, work: Worktree, step: Step): Promise<void> {
  const { scope, path } = step
  const tree = await work.read(scope)
  if (step.kind === 'move') return move(draft, work, step)
  checkStructure(draft, scope, structureOf(step))
  if (step.kind === 'delete') return work.write(scope, await removePath(draft, tree, path))
  if (step.plan === undefined) throw new Error(`${path} was not planned`)
  return work.write(scope, await applyPlan(draft, tree, step.plan))
}

/** @throws resource_not_found, or conflict where something is in the way */
async function move(
  draft: Draft,
  work: Worktree,
  { scope, path, to }: Located & { to: Located },
): Promise<void> {
  const from = await work.read(scope)
  const entry = await findEntry(draft, from, folderOf(path))
  if (entry === null || !(isFile(entry) || isFolder(entry))) throw notFound('resource')
  const left = await putEntry(draft, from, folderOf(path), null)
  const stays = isSame(scope, to.scope)
  // A service that lost its last file is none any more, but for one that is about to get it back.
  if (!stays) await work.write(scope, left)
  const target = stays ? (left ?? draft.writeTree([])) : await work.read(to.scope)
  const way = folderOf(to.path)
  await checkWay(draft, target, way)
  const there = await findEntry(draft, target, way)
  if (there !== null) throw conflict(to.path, way.join('/'), there)
  await work.write(to.scope, await putEntry(draft, target, way, entry))
}

/** Refuses what no state of the project makes right. @throws invalid_request */
function checkChange(change: Change): void {
  checkWritable(change.scope, change.path)
  if (change.kind !== 'move') return
  const { scope, path, to } = change
  checkWritable(to.scope, to.path)
  for (const end of [change, to]) {
    if (end.scope.service === undefined && end.path === metadataFile) {
      throw new ServiceError('invalid_request', `${metadataFile} of a project or stage stays`)
    }
  }
  if ((parseChartPath(path) === null) !== (parseChartPath(to.path) === null)) {
    throw new ServiceError('invalid_request', `a chart moves to a chart, not ${path} to ${to.path}`)
  }
  if (isSame(scope, to.scope) && `${to.path}/`.startsWith(`${path}/`)) {
    throw new ServiceError('invalid_request', `${path} cannot be moved into itself`)
  }
}

function isSame(one: Scope, other: Scope): boolean {
  return one.stage === other.stage && one.service === other.service
}

/** What a change says of where stages are. @see writing.ts */
function structureOf(step: Step): boolean | null {
  if (step.kind === 'put') return declaredStructure(step.scope, [step])
  return step.scope.service === undefined && step.path === metadataFile ? false : null
}

/** Where something stands in a tree: a chart is a folder. */
function folderOf(path: ResourcePath): string[] {
  return (parseChartPath(path)?.folder ?? path).split('/')
}

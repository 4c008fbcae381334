/** Where a scope lives in format 1: a stage is a branch, a service a folder of it, and the project is the default branch. */
import { ServiceError } from '../errors.ts'
import type { Oid, TreeEntry } from '../git/objects.ts'
import type { Draft, View } from '../repository/repository.ts'
import { metadataFile } from './metadata.ts'
import type { Scope, StageName } from './resources.ts'
import { findEntry, graft, isFile, isFolder } from './tree.ts'

/** A scope as it is in one commit. */
export interface Place {
  /** Name of the branch; the commit may be an older one of another. */
  branch: string
  commit: Oid
  /** The tree of the commit. */
  root: Oid
  /** From the root to the scope. */
  folder: string[]
  /** The scope's own tree. */
  tree: Oid
}

export const branchRef = (branch: string) => `refs/heads/${branch}`

/** Folders at the root of a branch that are the service's own. */
const ownFolder = '.configuration-service'
export const stagesFolder = '.keptn-stages'

/** The refusal for what is not there. */
export function notFound(what: 'project' | 'stage' | 'service' | 'resource'): ServiceError {
  const noun = `${what.charAt(0).toUpperCase()}${what.slice(1)}`
  return new ServiceError(`${what}_not_found`, `${noun} not found`)
}

/** @throws project_not_found */
export function checkProject(view: View): void {
  if (!view.exists) throw notFound('project')
}

/** The tip of a stage's branch, or null where there is no such stage. The default branch is no stage. */
export function findStage(view: View, stage: StageName): Oid | null {
  if (stage === view.defaultBranch) return null
  return view.refs.get(branchRef(stage)) ?? null
}

/**
 * Finds a scope, now or in an older commit.
 * @param at a commit of the project; which stage it was made in is not asked
 * @throws project_not_found, stage_not_found, service_not_found
 */
export async function findPlace(view: View, scope: Scope, at?: Oid): Promise<Place> {
  checkProject(view)
  const branch = scope.stage ?? view.defaultBranch
  const commit = at ?? findTip(view, scope)
  const { tree: root } = await view.readCommit(commit)
  if (scope.service === undefined) return { branch, commit, root, folder: [], tree: root }
  const entry = await findEntry(view, root, [scope.service])
  if (entry === null || !isFolder(entry)) throw notFound('service')
  return { branch, commit, root, folder: [scope.service], tree: entry.oid }
}

/** The tip of a scope's branch. @throws project_not_found, stage_not_found */
export function findTip(view: View, { stage }: Scope): Oid {
  const tip =
    stage === undefined ? view.refs.get(branchRef(view.defaultBranch)) : findStage(view, stage)
  if (tip === undefined) throw notFound('project')
  if (tip === null) throw notFound('stage')
  return tip
}

/**
 * Commits a new tree of a scope; makes no commit where nothing changed.
 * @param tree null for an empty one
 * @returns the branch's tip
 */
export async function commitPlace(
  draft: Draft,
  place: Place,
  { tree, message }: { tree: Oid | null; message: string },
): Promise<Oid> {
  const root = (await graft(draft, place.root, place.folder, tree)) ?? draft.writeTree([])
  if (root === place.root) return place.commit
  return draft.commit(place.branch, { tree: root, message })
}

/** Whether a path, by its first segment, is one that people may not write. */
export function isReserved(scope: Scope, path: string): boolean {
  if (scope.service !== undefined) return false
  const [first] = path.split('/', 1)
  return first === ownFolder || (first === stagesFolder && scope.stage === undefined)
}

/** Whether lists leave out an entry of a folder. @param depth of the folder below the scope, 0 for the scope itself */
export function isHidden(scope: Scope, name: string, depth: number): boolean {
  if (name === '.git' || name === stagesFolder) return true
  return name === ownFolder && depth === 0 && scope.service === undefined
}

/** Finds what makes a folder of a stage a service's: the file `metadata.yaml`. A stage has other folders too. */
export async function findServiceMetadata(view: View, entry: TreeEntry): Promise<TreeEntry | null> {
  const metadata = isFolder(entry) ? await findEntry(view, entry.oid, [metadataFile]) : null
  return metadata !== null && isFile(metadata) ? metadata : null
}

/** Where a scope lives in format 1: a stage is a branch, a service a folder of it, and the project is the default branch. */
import { ServiceError } from '../errors.ts'
import type { Oid, TreeEntry } from '../git/objects.ts'
import type { Draft, View } from '../repository/repository.ts'
import { metadataFile, readMetadata } from './metadata.ts'
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
  const base = at === undefined ? [] : await baseOf(view, root, scope)
  const stage = await findFolder(view, root, base)
  if (stage === null) throw notFound('stage')
  const { service } = scope
  const tree = service === undefined ? stage : await findFolder(view, stage, [service])
  if (tree === null) throw notFound('service')
  return { branch, commit, root, folder: service === undefined ? base : [...base, service], tree }
}

/**
 * The way to a stage in an older commit. A project that a later build had taken to format 2 and back has commits in which stages
 * are folders: what was read there must not seem to be absent here.
 */
async function baseOf(view: View, root: Oid, { stage }: Scope): Promise<string[]> {
  if (stage === undefined) return []
  const entry = (await view.readTree(root)).get(metadataFile)
  if (entry === undefined || !isFile(entry)) return []
  const content = await view.readBlob(entry.oid)
  const format = formats.get(content) ?? readMetadata(content).format
  formats.set(content, format)
  return format === 1 ? [] : [stagesFolder, stage]
}

/** What `metadata.yaml` says, for as long as its content is in memory: YAML takes its time. */
const formats = new WeakMap<Buffer, number>()

async function findFolder(view: View, root: Oid, path: string[]): Promise<Oid | null> {
  if (path.length === 0) return root
  const entry = await findEntry(view, root, path)
  return entry !== null && isFolder(entry) ? entry.oid : null
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

/** Finds scopes in commits, whatever layout those have, and commits what becomes of them. */
import { commitNotFound, isServiceError } from '../errors.ts'
import type { Oid, TreeEntry } from '../git/objects.ts'
import type { Draft, ProjectName, View } from '../repository/repository.ts'
import { branches } from './branches.ts'
import { folders } from './folders.ts'
import { type Layout, notFound, ownFolder, stagesFolder } from './layout.ts'
import { metadataFile, readMetadata } from './metadata.ts'
import type { Scope } from './resources.ts'
import { findEntry, graft, isFile, isFolder } from './tree.ts'

/** A scope as it is in one commit. */
export interface Place {
  scope: Scope
  layout: Layout
  /** Name of the branch; the commit may be an older one of another. */
  branch: string
  commit: Oid
  /** The tree of the commit. */
  root: Oid
  /** The tree of the scope's project or stage. */
  base: Oid
  /** The scope's own tree. */
  tree: Oid
}

/** The layout that a project has now. Formats after the second one change something else. */
export function layoutOf(format: number): Layout {
  return format >= 2 ? folders : branches
}

/** What `metadata.yaml` says, for as long as its content is in memory: YAML takes its time. */
const layouts = new WeakMap<Buffer, Layout>()

/** The layout of a commit, as the `metadata.yaml` at its root tells. */
export async function layoutAt(view: View, root: Oid): Promise<Layout> {
  const entry = (await view.readTree(root)).get(metadataFile)
  if (entry === undefined || !isFile(entry)) return branches
  const content = await view.readBlob(entry.oid)
  let layout = layouts.get(content)
  if (layout === undefined) {
    layout = readMetadata(content).isUsingDirectoryStructure ? folders : branches
    layouts.set(content, layout)
  }
  return layout
}

/** @throws project_not_found */
export function checkProject(view: View): void {
  if (!view.exists) throw notFound('project')
}

/** The tip of a scope's branch. @throws project_not_found, stage_not_found; the latter not for a stage that is a folder */
export function findTip(view: View, scope: Scope): Oid {
  return layoutOf(view.format).findTip(view, scope)
}

/**
 * Finds a scope, now or in an older commit.
 * @param at a commit of the project; where stages were branches, which one it was made in is not asked
 * @throws project_not_found, stage_not_found, service_not_found
 */
export async function findPlace(view: View, scope: Scope, at?: Oid): Promise<Place> {
  checkProject(view)
  const commit = at ?? findTip(view, scope)
  const { tree: root } = await view.readCommit(commit)
  const layout = at === undefined ? layoutOf(view.format) : await layoutAt(view, root)
  const { service, ...ofBase } = scope
  const base = await findFolder(view, root, layout.pathOf(ofBase, []))
  if (base === null) throw notFound('stage')
  const tree = service === undefined ? base : await findFolder(view, base, [service])
  if (tree === null) throw notFound('service')
  return { scope, layout, branch: layout.branchOf(view, scope), commit, root, base, tree }
}

/** As `findPlace`, but null where the stage or the service is not there. @throws project_not_found */
export async function findPlaceIfThere(view: View, scope: Scope, at?: Oid): Promise<Place | null> {
  try {
    return await findPlace(view, scope, at)
  } catch (error) {
    if (isServiceError(error, 'stage_not_found')) return null
    if (isServiceError(error, 'service_not_found')) return null
    throw error
  }
}

/** @throws commit_not_found */
export async function checkCommit(view: View, project: ProjectName, commit: Oid): Promise<void> {
  if (!(await view.hasCommit(commit))) throw commitNotFound(project, commit)
}

/** Finds what stands at a path of a scope; null for nothing. */
export function findInPlace(
  view: View,
  { root, layout, scope }: Place,
  path: string,
): Promise<TreeEntry | null> {
  return findEntry(view, root, layout.pathOf(scope, path.split('/')))
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
  const { service, ...ofBase } = place.scope
  const folder = service === undefined ? [] : [service]
  // A stage that lost its last file is a stage all the same.
  const base = (await graft(draft, place.base, folder, tree)) ?? draft.writeTree([])
  const root = await graft(draft, place.root, place.layout.pathOf(ofBase, []), base)
  if (root === null || root === place.root) return place.commit
  return draft.commit(place.branch, { tree: root, message })
}

/** Whether a path, by its first segment, is one that people may not write. */
export function isReserved(scope: Scope, path: string): boolean {
  if (scope.service !== undefined) return false
  const [first] = path.split('/', 1)
  return first === ownFolder || (first === stagesFolder && scope.stage === undefined)
}

/** What lists leave out of a scope: whether an entry of a folder is, by the folder's depth, 0 for the scope itself. */
export function hidingIn({ service }: Scope): (name: string, depth: number) => boolean {
  return (name, depth) => {
    if (name === '.git' || name === stagesFolder) return true
    return name === ownFolder && depth === 0 && service === undefined
  }
}

/** Finds what makes a folder of a stage a service's: the file `metadata.yaml`. A stage has other folders too. */
export async function findServiceMetadata(view: View, entry: TreeEntry): Promise<TreeEntry | null> {
  const metadata = isFolder(entry) ? await findEntry(view, entry.oid, [metadataFile]) : null
  return metadata !== null && isFile(metadata) ? metadata : null
}

async function findFolder(view: View, root: Oid, path: readonly string[]): Promise<Oid | null> {
  const entry = await findEntry(view, root, path)
  return entry !== null && isFolder(entry) ? entry.oid : null
}

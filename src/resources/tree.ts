/** Looks into trees, and changes them: only the folders on the way to a change are read and written. */
import { ServiceError } from '../errors.ts'
import type { Oid, Tree, TreeEntry } from '../git/objects.ts'
import type { Draft, View } from '../repository/repository.ts'
import type { FolderPlan } from './plan.ts'

export const folderMode = '040000'

export function isFolder(entry: TreeEntry): boolean {
  return entry.mode === folderMode
}

/** A file, not a link or a submodule: those are not followed. */
export function isFile(entry: TreeEntry): boolean {
  return entry.mode.startsWith('100')
}

/** Finds what stands at a path; null for nothing, or where the way leads through something that is no folder. */
export async function findEntry(
  view: View,
  tree: Oid,
  segments: readonly string[],
): Promise<TreeEntry | null> {
  let entry: TreeEntry = { mode: folderMode, oid: tree }
  for (const segment of segments) {
    if (!isFolder(entry)) return null
    const next = (await view.readTree(entry.oid)).get(segment)
    if (next === undefined) return null
    entry = next
  }
  return entry
}

/**
 * Puts a tree in the place of a folder, and makes the folders on the way to it.
 * @param root null for one that is not there
 * @param tree null removes the folder, and those above that are empty then
 * @returns the new root; null for an empty one
 */
export function graft(
  draft: Draft,
  root: Oid | null,
  path: readonly string[],
  tree: Oid | null,
): Promise<Oid | null> {
  return path.length === 0
    ? Promise.resolve(tree)
    : putEntry(draft, root, path, tree === null ? null : folder(tree))
}

/** As `graft`, with whatever entry: a file too; none removes what stands there. @param path not empty */
export async function putEntry(
  draft: Draft,
  root: Oid | null,
  [name = '', ...rest]: readonly string[],
  entry: TreeEntry | null,
): Promise<Oid | null> {
  const entries: Tree = root === null ? new Map() : await draft.readTree(root)
  if (rest.length === 0) return writeEntries(draft, replaceEntry(entries, name, entry))
  const below = entries.get(name)
  const there = below !== undefined && isFolder(below) ? below.oid : null
  const next = await putEntry(draft, there, rest, entry)
  return writeEntries(draft, replaceEntry(entries, name, next === null ? null : folder(next)))
}

/**
 * Sees that nothing stands in the way to a path but folders.
 * @throws conflict that names what does
 */
export async function checkWay(draft: Draft, root: Oid, path: readonly string[]): Promise<void> {
  for (let length = 1; length < path.length; length++) {
    const here = path.slice(0, length)
    const entry = await findEntry(draft, root, here)
    if (entry === null) return
    if (!isFolder(entry)) throw conflict(path.join('/'), here.join('/'), entry)
  }
}

/**
 * Does in a tree what a request planned.
 * @param tree null for a folder that is not there yet
 * @returns the new tree; null for an empty one
 * @throws conflict where a file stands where a folder is needed, or the reverse
 */
export async function applyPlan(
  draft: Draft,
  tree: Oid | null,
  plan: FolderPlan,
  path = '',
): Promise<Oid | null> {
  const old: Tree = tree === null || plan.replaces ? new Map() : await draft.readTree(tree)
  const next = new Map(old)
  for (const [name, planned] of plan.entries) {
    const here = path === '' ? name : `${path}/${name}`
    const entry = old.get(name)
    if (planned.kind === 'gone') {
      if (entry !== undefined && !isFolder(entry)) next.delete(name)
    } else if (planned.kind === 'file') {
      if (entry !== undefined && !isFile(entry)) throw conflict(here, here, entry)
      const mode = planned.mode ?? entry?.mode ?? '100644'
      next.set(name, { mode, oid: draft.writeBlob(planned.content) })
    } else {
      if (entry !== undefined && !isFolder(entry)) throw conflict(`${here}/`, here, entry)
      const below = await applyPlan(draft, entry?.oid ?? null, planned, here)
      if (below === null) next.delete(name)
      else next.set(name, folder(below))
    }
  }
  return writeEntries(draft, next)
}

/** The refusal of a write where something else stands. */
export function conflict(wanted: string, path: string, entry: TreeEntry): ServiceError {
  const what = isFolder(entry)
    ? `${path}/ is a folder`
    : isFile(entry)
      ? `${path} is a file`
      : `${path} is a link`
  return new ServiceError('conflict', `${wanted} cannot be written: ${what}`)
}

function folder(oid: Oid): TreeEntry {
  return { mode: folderMode, oid }
}

function replaceEntry(
  entries: Tree,
  name: string,
  entry: TreeEntry | null,
): Map<string, TreeEntry> {
  const next = new Map(entries)
  if (entry === null) next.delete(name)
  else next.set(name, entry)
  return next
}

function writeEntries(draft: Draft, entries: Map<string, TreeEntry>): Oid | null {
  return entries.size === 0 ? null : draft.writeTree(entries)
}

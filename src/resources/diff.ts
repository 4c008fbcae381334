/** What differs between two trees: folders that are the same are not looked into. */
import type { Oid, Tree, TreeEntry } from '../git/objects.ts'
import type { View } from '../repository/repository.ts'
import type { FileChange } from './resources.ts'
import { isFile, isFolder } from './tree.ts'
import { compareNames } from './walk.ts'

type IsHidden = (name: string, depth: number) => boolean

/**
 * Lists the files that two trees hold differently, in the order of a walk through both; links and submodules count as nothing.
 * @param from null for no tree
 * @param isHidden as for `walkFiles`
 */
export async function diffTrees(
  view: View,
  from: Oid | null,
  to: Oid | null,
  isHidden: IsHidden = () => false,
): Promise<FileChange[]> {
  const changes: FileChange[] = []
  const walk = async (before: Oid | null, after: Oid | null, prefix: string, depth: number) => {
    if (before === after) return
    const [old, now] = await Promise.all([readTree(view, before), readTree(view, after)])
    const names = [...new Set([...old.keys(), ...now.keys()])]
      .filter((name) => !isHidden(name, depth))
      .sort(compareNames)
    for (const name of names) {
      const path = `${prefix}${name}`
      const [was, is] = [old.get(name), now.get(name)]
      addChange(changes, path, { was: fileOf(was), is: fileOf(is) })
      await walk(folderOf(was), folderOf(is), `${path}/`, depth + 1)
    }
  }
  await walk(from, to, '', 0)
  return changes
}

function addChange(
  changes: FileChange[],
  path: string,
  { was, is }: { was: TreeEntry | null; is: TreeEntry | null },
): void {
  if (was?.oid === is?.oid && was?.mode === is?.mode) return
  const kind = was === null ? 'added' : is === null ? 'deleted' : 'modified'
  changes.push({ path: `/${path}`, kind, before: was?.oid ?? null, after: is?.oid ?? null })
}

function fileOf(entry: TreeEntry | undefined): TreeEntry | null {
  return entry !== undefined && isFile(entry) ? entry : null
}

function folderOf(entry: TreeEntry | undefined): Oid | null {
  return entry !== undefined && isFolder(entry) ? entry.oid : null
}

async function readTree(view: View, oid: Oid | null): Promise<Tree> {
  return oid === null ? new Map() : view.readTree(oid)
}

/** Every file of a tree, in the order of a directory walk. */
import { compareBytes, toByteString } from '../git/bytes.ts'
import type { Oid, Tree, TreeEntry } from '../git/objects.ts'
import type { View } from '../repository/repository.ts'
import { isFile, isFolder } from './tree.ts'

export interface WalkedFile {
  /** Below the tree, without a leading slash. */
  path: string
  entry: TreeEntry
}

/** So many trees are read at a time. */
const treesAtOnce = 16

/**
 * Lists the files of a tree, folder by folder, names bytewise; links and submodules are left out.
 * @param isHidden leaves out an entry and what is below it; `depth` is that of its folder, 0 for the tree itself
 */
export async function walkFiles(
  view: View,
  root: Oid,
  isHidden: (name: string, depth: number) => boolean = () => false,
): Promise<WalkedFile[]> {
  const trees = await readTrees(view, root, isHidden)
  const files: WalkedFile[] = []
  const walk = (tree: Oid, prefix: string, depth: number) => {
    for (const [name, entry] of sortedByName(trees.get(tree) ?? new Map())) {
      if (isHidden(name, depth)) continue
      if (isFolder(entry)) walk(entry.oid, `${prefix}${name}/`, depth + 1)
      else if (isFile(entry)) files.push({ path: `${prefix}${name}`, entry })
    }
  }
  walk(root, '', 0)
  return files
}

/** Sorts by name; Git's own order puts a folder where its name with a slash would stand. */
export function sortedByName(tree: Tree): [string, TreeEntry][] {
  return [...tree].sort(([left], [right]) => compareNames(left, right))
}

/** Compares as bytes of UTF-8, which code units of UTF-16 do not where both are beyond ASCII. */
export function compareNames(left: string, right: string): number {
  return compareBytes(toByteString(left), toByteString(right))
}

/** Reads level by level, so that what is not at hand is fetched side by side. */
async function readTrees(
  view: View,
  root: Oid,
  isHidden: (name: string, depth: number) => boolean,
): Promise<Map<Oid, Tree>> {
  const trees = new Map<Oid, Tree>()
  let level = [root]
  for (let depth = 0; level.length > 0; depth++) {
    const below = new Set<Oid>()
    for (let at = 0; at < level.length; at += treesAtOnce) {
      const some = level.slice(at, at + treesAtOnce)
      const read = await Promise.all(some.map((oid) => view.readTree(oid)))
      for (const [index, tree] of read.entries()) {
        trees.set(some[index] as Oid, tree)
        for (const [name, entry] of tree) {
          if (isFolder(entry) && !isHidden(name, depth)) below.add(entry.oid)
        }
      }
    }
    level = [...below].filter((oid) => !trees.has(oid))
  }
  return trees
}

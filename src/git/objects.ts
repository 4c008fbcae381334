/** Git's objects: their names, and the three kinds that we write. @see gitformat-pack, git-hash-object */

declare const oidBrand: unique symbol
/** The name of an object: 40 lower-case hex digits. */
export type Oid = string & { readonly [oidBrand]: true }

export type ObjectType = 'commit' | 'tree' | 'blob' | 'tag'

export interface GitObject {
  type: ObjectType
  content: Buffer
}

export interface TreeEntry {
  /** As Git prints it, six digits: 100644, 100755, 120000 (link), 160000 (submodule), 040000 (folder). */
  mode: string
  oid: Oid
}

/** A folder: its entries by name, in Git's order. */
export type Tree = ReadonlyMap<string, TreeEntry>

export interface Identity {
  name: string
  email: string
}

export interface Commit {
  tree: Oid
  parents: Oid[]
  author: Identity & { seconds: number }
  committer: Identity & { seconds: number }
  message: string
}

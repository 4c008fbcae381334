/** Objects in memory: bounded, least recently used first, shared by all projects of a replica. */
import { LRUCache } from 'lru-cache'

import { type Commit, type GitObject, parseCommit, parseTree, type Tree } from '../git/objects.ts'

/** An object, and what was read out of it so far. */
export interface CachedObject extends GitObject {
  tree?: Tree | undefined
  commit?: Commit | undefined
}

export type ObjectCache = LRUCache<string, CachedObject>

/** @param maxBytes of the objects' contents, what is parsed out of them counted as as much again */
export function createObjectCache(maxBytes: number): ObjectCache {
  return new LRUCache<string, CachedObject>({
    maxSize: maxBytes,
    maxEntrySize: Math.max(1, Math.floor(maxBytes / 4)),
    sizeCalculation: (object) => 2 * object.content.length + 200,
  })
}

/** The folder that an object is. @throws Error for any other type */
export function treeOf(object: CachedObject): Tree {
  if (object.type !== 'tree') throw new Error(`a ${object.type} stands where a tree is needed`)
  object.tree ??= parseTree(object.content)
  return object.tree
}

/** The commit that an object is. @throws Error for any other type */
export function commitOf(object: CachedObject): Commit {
  if (object.type !== 'commit') throw new Error(`a ${object.type} stands where a commit is needed`)
  object.commit ??= parseCommit(object.content)
  return object.commit
}

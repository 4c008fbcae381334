/** Which commits changed a scope, or something in it: a walk along first parents that compares object ids. */
import type { Oid } from '../git/objects.ts'
import type { View } from '../repository/repository.ts'
import type { HistoryItem } from './resources.ts'
import { findEntry } from './tree.ts'

/** A page ends after so many commits, however few of them it shows: what it costs is bounded. */
const maxWalkedCommits = 2_000

/**
 * Walks back from a commit.
 * @param options.segments from the root of the tree to what is asked about; none for the whole tree
 * @param options.limit how many commits are wanted at the most
 * @returns newest first, and the commit to go on from; null at the end
 */
export async function walkHistory(
  view: View,
  start: Oid,
  { segments, limit }: { segments: readonly string[]; limit: number },
): Promise<{ items: HistoryItem[]; next: Oid | null }> {
  const items: HistoryItem[] = []
  let oid: Oid | null = start
  let here = await stateAt(view, start, segments)
  for (let walked = 0; oid !== null && walked < maxWalkedCommits; walked++) {
    if (items.length === limit) break
    const commit = here.commit
    const parent: Oid | null = commit.parents[0] ?? null
    const before = parent === null ? null : await stateAt(view, parent, segments)
    if (here.what !== (before?.what ?? null)) {
      const { name, email, seconds } = commit.author
      const message = commit.message.replace(/\n+$/, '')
      items.push({ commit: oid, author: { name, email }, dateMs: seconds * 1000, message })
    }
    if (before !== null) here = before
    oid = parent
  }
  return { items, next: oid }
}

/** A commit, and what it has there: id and mode, or null for nothing. */
async function stateAt(view: View, oid: Oid, segments: readonly string[]) {
  const commit = await view.readCommit(oid)
  const entry = await findEntry(view, commit.tree, segments)
  return { commit, what: entry === null ? null : `${entry.mode} ${entry.oid}` }
}

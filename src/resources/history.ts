/** Which commits changed a scope, or something in it: a walk along first parents that compares object ids. */
import { type Commit, type Oid, parseOid } from '../git/objects.ts'
import type { View } from '../repository/repository.ts'
import { stageTrailer } from './conversion.ts'
import { stagesFolder } from './layout.ts'
import { layoutAt } from './place.ts'
import type { HistoryItem, Scope } from './resources.ts'
import { findEntry } from './tree.ts'
import { sortedByName } from './walk.ts'

/** A page ends after so many commits, however few of them it shows: what it costs is bounded. */
const maxWalkedCommits = 2_000

/** What is asked about: a scope, or something in it. */
interface Subject {
  scope: Scope
  path: readonly string[]
}

interface State {
  commit: Commit
  isUsingDirectoryStructure: boolean
  /** Ids and modes of what is there; null for nothing. */
  what: string | null
}

/**
 * Walks back from a commit. Where a project's stages became folders the walk goes on in the branch that the stage was.
 * @param options.path of what is asked about in the scope; none for all of it
 * @param options.limit how many commits are wanted at the most
 * @returns newest first, and the commit to go on from; null at the end
 */
export async function walkHistory(
  view: View,
  start: Oid,
  { limit, ...subject }: Subject & { limit: number },
): Promise<{ items: HistoryItem[]; next: Oid | null }> {
  const items: HistoryItem[] = []
  let oid: Oid | null = start
  let here = await stateAt(view, start, subject)
  for (let walked = 0; oid !== null && walked < maxWalkedCommits; walked++) {
    if (items.length === limit) break
    const { commit } = here
    const { parent, before } = await stepBack(view, here, subject)
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

/** Goes one commit back; nowhere from the first one, and from the one in which a stage that was no branch became a folder. */
async function stepBack(
  view: View,
  { commit, isUsingDirectoryStructure }: State,
  subject: Subject,
): Promise<{ parent: Oid | null; before: State | null }> {
  const end = { parent: null, before: null }
  const branch = formerBranch(commit, subject.scope)
  const parent = branch ?? commit.parents[0]
  if (parent === undefined) return end
  const before = await stateAt(view, parent, subject)
  const isTurned = isUsingDirectoryStructure && !before.isUsingDirectoryStructure
  const isLost = isTurned && branch === null && subject.scope.stage !== undefined
  return isLost ? end : { parent, before }
}

/** The tip of the branch that a stage was until this commit, as its message tells and its parents confirm. */
function formerBranch({ message, parents }: Commit, { stage }: Scope): Oid | null {
  if (stage === undefined) return null
  const trailer = stageTrailer(stage, '')
  const line = message.split('\n').findLast((text) => text.startsWith(trailer))
  const oid = parseOid(line?.slice(trailer.length) ?? '')
  return oid !== null && parents.includes(oid) ? oid : null
}

async function stateAt(view: View, oid: Oid, { scope, path }: Subject): Promise<State> {
  const commit = await view.readCommit(oid)
  const { isUsingDirectoryStructure, pathOf } = await layoutAt(view, commit.tree)
  const isProject = scope.stage === undefined && path.length === 0
  if (isProject && isUsingDirectoryStructure) {
    const what = await stateWithoutStages(view, commit.tree)
    return { commit, isUsingDirectoryStructure, what }
  }
  const entry = await findEntry(view, commit.tree, pathOf(scope, path))
  const what = entry === null ? null : `${entry.mode} ${entry.oid}`
  return { commit, isUsingDirectoryStructure, what }
}

/** A project's own files; the folders of its stages stand among them. */
async function stateWithoutStages(view: View, root: Oid): Promise<string> {
  return sortedByName(await view.readTree(root))
    .filter(([name]) => name !== stagesFolder)
    .map(([name, { mode, oid }]) => `${mode} ${oid} ${name}`)
    .join('\n')
}

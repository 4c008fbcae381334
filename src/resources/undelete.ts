/** Brings a deleted stage back: as the branch that it was, or as the folder that the history still holds. */
import { emptyTreeOid, type Oid } from '../git/objects.ts'
import type { Draft } from '../repository/repository.ts'
import { stageTrailer } from './conversion.ts'
import { branchRef, deletedRef, notFound, projectTip, stagesFolder } from './layout.ts'
import { layoutAt, layoutOf } from './place.ts'
import type { StageName } from './resources.ts'
import { findEntry, graft, isFolder } from './tree.ts'

/** A stage that was deleted so many commits of the default branch ago, or deletions of stages ago, is not looked for. */
const maxWalkedCommits = 2_000

interface Deleted {
  /** When, seconds since the epoch. */
  seconds: number
  tree: Oid
  /** Its tip, where it was a branch. */
  tip: Oid | null
}

/**
 * Makes the stage of that name that was deleted last.
 * @param draft of a project that has no such stage
 * @returns the commit that holds it
 * @throws stage_not_found
 */
export async function undeleteStage(draft: Draft, stage: StageName, message: string): Promise<Oid> {
  const found = [await findDeletedBranch(draft, stage), await findDeletedFolder(draft, stage)]
  const [last] = found.filter((one) => one !== null).sort((a, b) => b.seconds - a.seconds)
  if (last === undefined) throw notFound('stage')
  return layoutOf(draft.format).isUsingDirectoryStructure
    ? putFolder(draft, { stage, message, ...last })
    : putBranch(draft, { stage, message, ...last })
}

type Return = Deleted & { stage: StageName; message: string }

function putBranch(draft: Draft, { stage, message, tree, tip }: Return): Oid {
  if (tip === null) return draft.commit(stage, { tree, message, parents: [projectTip(draft)] })
  draft.setBranch(stage, tip)
  return tip
}

/** Its history goes on in the branch, if it was one. @see conversion.ts */
async function putFolder(draft: Draft, { stage, message, tree, tip }: Return): Promise<Oid> {
  const head = projectTip(draft)
  const { tree: root } = await draft.readCommit(head)
  const whole = (await graft(draft, root, [stagesFolder, stage], tree)) ?? draft.writeTree([])
  if (tip === null) return draft.commit(draft.defaultBranch, { tree: whole, message })
  return draft.commit(draft.defaultBranch, {
    tree: whole,
    parents: [head, tip],
    message: `${message.trimEnd()}\n\n${stageTrailer(stage, tip)}\n`,
  })
}

/** Follows the chain of deletion commits, as far as this incarnation made them. */
async function findDeletedBranch(draft: Draft, stage: StageName): Promise<Deleted | null> {
  let oid = draft.refs.get(deletedRef)
  for (let walked = 0; oid !== undefined && walked < maxWalkedCommits; walked++) {
    if (!(await draft.hasCommit(oid))) return null
    const { tree: own, parents, message, author } = await draft.readCommit(oid)
    if (own !== emptyTreeOid || !message.startsWith('deleted ')) return null
    const names = message.trim().split(' ').slice(1)
    const tip: Oid | undefined = parents.at(-1)
    // Which tip was which is told only where one alone was deleted, as every deletion of a stage does.
    if (tip !== undefined && names.length === 1 && names[0] === branchRef(stage)) {
      const { tree } = await draft.readCommit(tip)
      return { seconds: author.seconds, tree, tip }
    }
    // Before the first deletion stands a tip, which is none.
    oid = parents[0]
  }
  return null
}

/** Looks for the newest commit of the default branch that has the stage as a folder. */
async function findDeletedFolder(draft: Draft, stage: StageName): Promise<Deleted | null> {
  let oid: Oid | undefined = projectTip(draft)
  let seconds = 0
  for (let walked = 0; oid !== undefined && walked < maxWalkedCommits; walked++) {
    const { tree: root, parents, author } = await draft.readCommit(oid)
    const { isUsingDirectoryStructure } = await layoutAt(draft, root)
    const entry = isUsingDirectoryStructure
      ? await findEntry(draft, root, [stagesFolder, stage])
      : null
    if (entry !== null && isFolder(entry)) return { seconds, tree: entry.oid, tip: null }
    seconds = author.seconds
    oid = parents[0]
  }
  return null
}

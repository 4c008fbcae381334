/**
 * From stages as branches (format 1) to stages as folders (format 2) and back, each in one entry. What the API answers stays as it
 * was, but for the `metadata.yaml` of the project and the ids of heads.
 */
import { ServiceError } from '../errors.ts'
import type { Oid, Tree, TreeEntry } from '../git/objects.ts'
import type { Draft } from '../repository/repository.ts'
import { stageBranches } from './branches.ts'
import { stageFolders } from './folders.ts'
import { branchRef, ownFolder, projectTip, stagesFolder } from './layout.ts'
import { metadataFile, turnStructure } from './metadata.ts'
import type { StageName } from './resources.ts'
import { folderMode, isFile, isFolder } from './tree.ts'

/** A line of a commit message that tells which commit a stage was, when it was a branch. */
export function stageTrailer(stage: StageName, commit: string): string {
  return `Stage: ${stage} ${commit}`
}

/**
 * Makes stages folders: one merge of all stages' branches into the default branch, which then are no branches any more.
 * @param draft of a project in format 1
 * @param message of the commit; which stage was which commit stands below it
 * @returns the commit
 * @throws conflict where the project has no place for what tells the format
 */
export async function convertToFolders(draft: Draft, message: string): Promise<Oid> {
  const tip = projectTip(draft)
  const { tree: root } = await draft.readCommit(tip)
  const stages = stageBranches(draft).map((name) => {
    return { name, commit: draft.refs.get(branchRef(name)) as Oid }
  })
  const folders: [string, TreeEntry][] = await Promise.all(
    stages.map(async ({ name, commit }) => {
      const { tree } = await draft.readCommit(commit)
      return [name, { mode: folderMode, oid: tree }]
    }),
  )
  const entries = new Map(await draft.readTree(root))
  await moveAside(draft, entries)
  putFolder(draft, entries, stagesFolder, new Map(folders))
  await turn(draft, entries, true)
  const commit = draft.commit(draft.defaultBranch, {
    tree: draft.writeTree(entries),
    parents: [...new Set([tip, ...stages.map(({ commit }) => commit)])],
    message: withTrailers(
      message,
      stages.map(({ name, commit }) => stageTrailer(name, commit)),
    ),
  })
  for (const { name } of stages) draft.deleteBranch(name)
  draft.setFormat({ format: 2, minReader: 2, minWriter: 2 })
  return commit
}

/**
 * Makes stages branches again: each is one commit on top of the default branch as it is now, so that its history leads through
 * the time when it was a folder.
 * @param draft of a project in format 2
 * @returns the new tip of the default branch
 */
export async function convertToBranches(draft: Draft, message: string): Promise<Oid> {
  const tip = projectTip(draft)
  const { tree: root } = await draft.readCommit(tip)
  const entries = new Map(await draft.readTree(root))
  const stages = await stageFolders(draft, entries)
  // Branches that an import left are no stages, and must not become stages now.
  for (const name of stageBranches(draft)) draft.deleteBranch(name)
  const kept = new Map(await readFolder(draft, entries.get(stagesFolder)))
  for (const stage of stages) {
    const files = new Map(await readFolder(draft, kept.get(stage)))
    kept.delete(stage)
    await turn(draft, files, false)
    // Stages of the same files are commits of their own all the same.
    const named = withTrailers(message, [`Stage: ${stage}`])
    draft.commit(stage, { tree: draft.writeTree(files), parents: [tip], message: named })
  }
  if (stages.length > 0) putFolder(draft, entries, stagesFolder, kept)
  await moveBack(draft, entries)
  await turn(draft, entries, false)
  const commit = draft.commit(draft.defaultBranch, { tree: draft.writeTree(entries), message })
  draft.setFormat({ format: 1, minReader: 1, minWriter: 1 })
  return commit
}

type Entries = Map<string, TreeEntry>

/** What an imported project has where stages come to stand is kept in our own folder, where it can still be read. */
async function moveAside(draft: Draft, entries: Entries): Promise<void> {
  const there = entries.get(stagesFolder)
  if (there === undefined) return
  const own = new Map(await readFolder(draft, entries.get(ownFolder)))
  if (own.has(stagesFolder) || (entries.has(ownFolder) && own.size === 0)) {
    const sentence = `${ownFolder}/${stagesFolder} of the project is taken: ${stagesFolder}/ cannot be kept there`
    throw new ServiceError('conflict', sentence)
  }
  entries.delete(stagesFolder)
  putFolder(draft, entries, ownFolder, own.set(stagesFolder, there))
}

async function moveBack(draft: Draft, entries: Entries): Promise<void> {
  const own = new Map(await readFolder(draft, entries.get(ownFolder)))
  const there = own.get(stagesFolder)
  if (there === undefined || entries.has(stagesFolder)) return
  own.delete(stagesFolder)
  putFolder(draft, entries, ownFolder, own)
  entries.set(stagesFolder, there)
}

/** Makes the `metadata.yaml` of a root tell its layout. */
async function turn(
  draft: Draft,
  entries: Entries,
  isUsingDirectoryStructure: boolean,
): Promise<void> {
  const entry = entries.get(metadataFile)
  if (entry !== undefined && !isFile(entry)) {
    if (!isUsingDirectoryStructure) return
    const sentence = `${metadataFile} of the project, which is to tell the format, is no file: delete it first`
    throw new ServiceError('conflict', sentence)
  }
  const content = entry === undefined ? Buffer.alloc(0) : await draft.readBlob(entry.oid)
  const turned = turnStructure(content, isUsingDirectoryStructure)
  if (turned === content) return
  entries.set(metadataFile, { mode: entry?.mode ?? '100644', oid: draft.writeBlob(turned) })
}

/** The entries of a folder; none of what is no folder, or not there. */
async function readFolder(draft: Draft, entry: TreeEntry | undefined): Promise<Tree> {
  return entry !== undefined && isFolder(entry) ? draft.readTree(entry.oid) : new Map()
}

function putFolder(draft: Draft, entries: Entries, name: string, content: Entries): void {
  if (content.size === 0) entries.delete(name)
  else entries.set(name, { mode: folderMode, oid: draft.writeTree(content) })
}

function withTrailers(message: string, trailers: readonly string[]): string {
  if (trailers.length === 0) return message
  return `${message.trimEnd()}\n\n${trailers.join('\n')}\n`
}

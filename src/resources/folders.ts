/** The layout of format 2, Keptn's directory structure: a stage is a folder of `.keptn-stages` on the default branch. */
import { ServiceError } from '../errors.ts'
import type { Tree } from '../git/objects.ts'
import type { View } from '../repository/repository.ts'
import { type Layout, notFound, ownFolder, projectTip, stagesFolder } from './layout.ts'
import { metadataFile, stageMetadata } from './metadata.ts'
import { isStageName } from './names.ts'
import type { StageName } from './resources.ts'
import { findEntry, graft, isFolder } from './tree.ts'
import { compareNames } from './walk.ts'

export const folders: Layout = {
  isUsingDirectoryStructure: true,

  branchOf: (view) => view.defaultBranch,

  findTip(view, { stage }) {
    const tip = projectTip(view)
    if (stage === view.defaultBranch) throw notFound('stage')
    return tip
  },

  pathOf({ stage, service }, segments) {
    if (stage !== undefined) {
      return [stagesFolder, stage, ...(service === undefined ? [] : [service]), ...segments]
    }
    // What a project that was imported kept there lies aside. @see conversion.ts
    return segments[0] === stagesFolder ? [ownFolder, ...segments] : [...segments]
  },

  async listStages(view) {
    const { tree } = await view.readCommit(projectTip(view))
    return stageFolders(view, await view.readTree(tree))
  },

  async createStage(draft, stage, message) {
    const { tree: root } = await draft.readCommit(projectTip(draft))
    const path = [stagesFolder, stage]
    const stages = await findEntry(draft, root, [stagesFolder])
    const isTaken = stages !== null && (!isFolder(stages) || (await findEntry(draft, root, path)))
    if (isTaken) {
      const sentence = `stage ${stage} cannot be created: ${path.join('/')} can be no folder`
      throw new ServiceError('conflict', sentence)
    }
    const oid = draft.writeBlob(stageMetadata(stage, draft.atMs))
    const folder = draft.writeTree([[metadataFile, { mode: '100644', oid }]])
    const tree = (await graft(draft, root, path, folder)) ?? draft.writeTree([])
    return draft.commit(draft.defaultBranch, { tree, message })
  },

  async deleteStage(draft, stage, message) {
    const { tree: root } = await draft.readCommit(projectTip(draft))
    const path = [stagesFolder, stage]
    const there = await findEntry(draft, root, path)
    if (there === null || !isFolder(there) || stage === draft.defaultBranch) throw notFound('stage')
    const tree = (await graft(draft, root, path, null)) ?? draft.writeTree([])
    return draft.commit(draft.defaultBranch, { tree, message })
  },
}

/** The folders of a root that are stages. */
export async function stageFolders(view: View, root: Tree): Promise<StageName[]> {
  const entry = root.get(stagesFolder)
  if (entry === undefined || !isFolder(entry)) return []
  return [...(await view.readTree(entry.oid))]
    .filter(([, below]) => isFolder(below))
    .map(([name]) => name)
    .filter(isStageName)
    .filter((name) => name !== view.defaultBranch)
    .sort(compareNames)
}

/** The layout of format 1: a stage is a branch, forked from the default branch, which is the project. */
import type { Oid } from '../git/objects.ts'
import type { View } from '../repository/repository.ts'
import { branchRef, type Layout, notFound, projectTip } from './layout.ts'
import { isStageName } from './names.ts'
import type { StageName } from './resources.ts'
import { compareNames } from './walk.ts'

export const branches: Layout = {
  isUsingDirectoryStructure: false,

  branchOf: (view, { stage }) => stage ?? view.defaultBranch,

  findTip(view, { stage }) {
    if (stage === undefined) return projectTip(view)
    const tip = findStage(view, stage)
    if (tip === null) throw notFound('stage')
    return tip
  },

  pathOf: ({ service }, segments) =>
    service === undefined ? [...segments] : [service, ...segments],

  listStages: async (view) => stageBranches(view),

  async createStage(draft, stage) {
    const commit = projectTip(draft)
    draft.setBranch(stage, commit)
    return commit
  },

  async deleteStage(draft, stage) {
    if (findStage(draft, stage) === null) throw notFound('stage')
    draft.deleteBranch(stage)
    return null
  },
}

/** The branches that are stages where branches are: an imported one may have a name that no stage can have. */
export function stageBranches(view: View): StageName[] {
  const prefix = branchRef('')
  return [...view.refs.keys()]
    .filter((ref) => ref.startsWith(prefix))
    .map((ref) => ref.slice(prefix.length))
    .filter(isStageName)
    .filter((name) => findStage(view, name) !== null)
    .sort(compareNames)
}

/** The default branch is no stage. */
function findStage(view: View, stage: StageName): Oid | null {
  if (stage === view.defaultBranch) return null
  return view.refs.get(branchRef(stage)) ?? null
}

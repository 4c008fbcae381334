/** Whole states of a scope: one as an archive, and what differs between two. */
import type { Clock } from '../clock.ts'
import type { Oid } from '../git/objects.ts'
import type { Repositories, View } from '../repository/repository.ts'
import { packFiles } from './archive.ts'
import { createBudget } from './budget.ts'
import { diffTrees } from './diff.ts'
import { levelOf, notFound } from './layout.ts'
import { cutPage } from './paging.ts'
import { checkCommit, findPlace, findPlaceIfThere, hidingIn } from './place.ts'
import type { Resources, Scope } from './resources.ts'
import { walkFiles } from './walk.ts'

/** The files of an archive. While it is made it takes three times as much memory, so one is made at a time. */
const maxArchiveBytes = 32 * 1024 * 1024

export function createStates(
  repositories: Repositories,
  clock: Clock,
): Pick<Resources, 'readArchive' | 'diff'> {
  const turn = createBudget(maxArchiveBytes, clock)

  const pack = async (view: View, scope: Scope, at: Oid | undefined) => {
    const { tree, commit } = await findPlace(view, scope, at)
    const files = await walkFiles(view, tree, hidingIn(scope))
    const { project, stage, service } = scope
    const top = [project, stage, service].filter((name) => name !== undefined).join('-')
    const limits = { top, what: top, maxBytes: maxArchiveBytes }
    return { content: await packFiles(view, files, limits), oid: tree, commit }
  }

  const compare = async (view: View, scope: Scope, commits: { from: Oid; to: Oid | undefined }) => {
    const after = await findPlaceIfThere(view, scope, commits.to)
    await checkCommit(view, scope.project, commits.from)
    const before = await findPlaceIfThere(view, scope, commits.from)
    if (before === null && after === null) throw notFound(levelOf(scope))
    return diffTrees(view, before?.tree ?? null, after?.tree ?? null, hidingIn(scope))
  }

  return {
    async readArchive(scope, context) {
      const share = await turn.take(maxArchiveBytes, context.timeoutMs)
      try {
        const work = (view: View) => pack(view, scope, context.at)
        const { value, proof } = await repositories.read(scope.project, work, context)
        return { ...value, proof }
      } finally {
        share.release()
      }
    },

    async diff(scope, from, page, context) {
      const work = (view: View) => compare(view, scope, { from, to: context.at })
      const { value, proof } = await repositories.read(scope.project, work, context)
      return { ...cutPage(value, page), proof }
    },
  }
}

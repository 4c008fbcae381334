/** Makes things what they were in an older commit, by a commit on top: nothing of the history is lost. */
import type { Oid, TreeEntry } from '../git/objects.ts'
import type { Draft, Repositories } from '../repository/repository.ts'
import { parseChartPath } from './chart.ts'
import { notFound } from './layout.ts'
import { messageOf } from './message.ts'
import { metadataFile } from './metadata.ts'
import { checkCommit, commitPlace, findPlace, hidingIn, type Place } from './place.ts'
import type { ResourcePath, Resources, Scope } from './resources.ts'
import { checkWay, findEntry, isFile, isFolder, putEntry } from './tree.ts'
import { checkWritable, write } from './writing.ts'

export function createRestoring(repositories: Repositories): Pick<Resources, 'restore'> {
  return {
    async restore(scope, { commit, path }, context) {
      if (path !== undefined) checkWritable(scope, path)
      const message = messageOf(context, 'Restore', scope, path === undefined ? [] : [path])
      return write(repositories, scope.project, 'commit', context, async (draft) => {
        const now = await findHolder(draft, scope)
        await checkCommit(draft, scope.project, commit)
        const then = await findPlace(draft, scope, commit)
        const tree =
          path === undefined
            ? await restoreScope(draft, now, then)
            : await restorePath(draft, now, { then, path })
        return { status: 200, commit: await commitPlace(draft, now, { tree, message }) }
      })
    },
  }
}

/** A scope as it is; a service that is not there any more counts as an empty one. */
async function findHolder(draft: Draft, scope: Scope): Promise<Place> {
  const { service, ...ofBase } = scope
  const place = await findPlace(draft, ofBase)
  if (service === undefined) return place
  const entry = await findEntry(draft, place.tree, [service])
  const tree = entry !== null && isFolder(entry) ? entry.oid : draft.writeTree([])
  return { ...place, scope, tree }
}

/** All files of a scope. What is not the scope's own, its stages and our folder, stays, and so does what tells the layout. */
async function restoreScope(draft: Draft, now: Place, then: Place): Promise<Oid> {
  const isKept = hidingIn(now.scope)
  const current = await draft.readTree(now.tree)
  const entries = new Map<string, TreeEntry>()
  for (const [name, entry] of await draft.readTree(then.tree)) {
    if (!isKept(name, 0)) entries.set(name, entry)
  }
  for (const [name, entry] of current) if (isKept(name, 0)) entries.set(name, entry)
  const metadata = current.get(metadataFile)
  const tellsLayout = now.scope.stage === undefined && now.layout !== then.layout
  if (tellsLayout && metadata !== undefined) entries.set(metadataFile, metadata)
  return draft.writeTree(entries)
}

/** A file, a folder, or a chart, which is a folder. @throws resource_not_found where the commit has none */
async function restorePath(
  draft: Draft,
  now: Place,
  { then, path }: { then: Place; path: ResourcePath },
): Promise<Oid | null> {
  const at = (parseChartPath(path)?.folder ?? path).split('/')
  const entry = await findEntry(draft, then.tree, at)
  if (entry === null || !(isFile(entry) || isFolder(entry))) throw notFound('resource')
  const tellsLayout = now.scope.service === undefined && path === metadataFile
  if (tellsLayout && now.layout !== then.layout) return now.tree
  await checkWay(draft, now.tree, at)
  return putEntry(draft, now.tree, at, entry)
}

/** Projects, stages and services come and go. Keptn's answer to each of these writes is 204. */
import { isServiceError, ServiceError } from '../errors.ts'
import { refListMaxBytes, refListSizeBytes } from '../git/bundle.ts'
import type { Oid } from '../git/objects.ts'
import { findRefConflict } from '../git/ref-name.ts'
import type { Draft, ProjectName, Proof, Repositories } from '../repository/repository.ts'
import { convertToFolders } from './conversion.ts'
import { branchRef, deletedRef, notFound, projectTip } from './layout.ts'
import { messageOf } from './message.ts'
import { metadataFile, projectMetadata, serviceMetadata } from './metadata.ts'
import { invalidPage, lastPageKey, parsePageSize } from './paging.ts'
import { checkProject, commitPlace, findPlace, layoutOf } from './place.ts'
import { describeScope } from './reading.ts'
import type { PageRequest, ReadContext, Resources, ScopeItem, StageName } from './resources.ts'
import { findEntry, graft, isFolder } from './tree.ts'
import { undeleteStage } from './undelete.ts'
import { write } from './writing.ts'

const noOid = '0'.repeat(40) as Oid
/** What an entry names besides the branches, or will once something was deleted. */
const futureRefs = [
  ['refs/meta/transaction', noOid],
  [deletedRef, noOid],
] as const
/** Names that one page of projects looks at, and how many at a time. */
const maxNamesLooked = 1_000
const projectsAtOnce = 16

type Projects = Pick<
  Resources,
  | 'createProject'
  | 'updateProject'
  | 'migrateProject'
  | 'deleteProject'
  | 'undeleteProject'
  | 'createStage'
  | 'deleteStage'
  | 'undeleteStage'
  | 'createService'
  | 'deleteService'
  | 'listProjects'
>

export interface ProjectRules {
  /** Of projects that are created from now on. */
  defaultBranch: string
  /** The format of projects that are created now. */
  newFormat(): number
  /** Brings a project that is back to a format that projects may have now. */
  settle(draft: Draft): Promise<void>
  /** Why no project may be moved to format 2 now; null where it may. */
  refuseMigration(): Promise<ServiceError | null>
}

export function createProjects(repositories: Repositories, rules: ProjectRules): Projects {
  return {
    createProject(project, context) {
      const message = messageOf(context, 'Create', { project })
      return write(repositories, project, 'create', context, async (draft) => {
        if (draft.exists) throw new ServiceError('project_exists', 'Project already exists')
        const { defaultBranch } = rules
        const format = rules.newFormat()
        draft.begin({ format, defaultBranch })
        const { isUsingDirectoryStructure } = layoutOf(format)
        const metadata = projectMetadata(project, draft.atMs, isUsingDirectoryStructure)
        const oid = draft.writeBlob(metadata)
        const tree = draft.writeTree([[metadataFile, { mode: '100644', oid }]])
        return { status: 204, commit: draft.commit(defaultBranch, { tree, message }) }
      })
    },

    updateProject(project, context) {
      return write(repositories, project, 'commit', context, async (draft) => {
        checkProject(draft)
        return { status: 204 }
      })
    },

    async migrateProject(project, context) {
      const refused = await rules.refuseMigration()
      const message = messageOf(context, 'Migrate', { project })
      return write(repositories, project, 'upgrade', context, async (draft) => {
        checkProject(draft)
        if (layoutOf(draft.format).isUsingDirectoryStructure) return { status: 204 }
        if (refused !== null) throw refused
        return { status: 204, commit: await convertToFolders(draft, message) }
      })
    },

    deleteProject(project, context) {
      return write(repositories, project, 'delete', context, async (draft) => {
        if (draft.exists) draft.deleteAll()
        return { status: 204 }
      })
    },

    undeleteProject(project, context) {
      return write(repositories, project, 'create', context, async (draft) => {
        if (draft.exists) throw new ServiceError('project_exists', 'Project already exists')
        if (!(await draft.revive())) throw notFound('project')
        await rules.settle(draft)
        return { status: 204, commit: projectTip(draft) }
      })
    },

    createStage({ project, stage }, context) {
      const message = messageOf(context, 'Create', { project, stage })
      return write(repositories, project, 'commit', context, async (draft) => {
        checkProject(draft)
        await checkNewStage(draft, stage)
        const commit = await layoutOf(draft.format).createStage(draft, stage, message)
        return { status: 204, commit }
      })
    },

    deleteStage({ project, stage }, context) {
      const message = messageOf(context, 'Delete', { project, stage })
      return write(repositories, project, 'commit', context, async (draft) => {
        checkProject(draft)
        const commit = await layoutOf(draft.format).deleteStage(draft, stage, message)
        return commit === null ? { status: 204 } : { status: 204, commit }
      })
    },

    undeleteStage({ project, stage }, context) {
      const message = messageOf(context, 'Undelete', { project, stage })
      return write(repositories, project, 'commit', context, async (draft) => {
        checkProject(draft)
        await checkNewStage(draft, stage)
        return { status: 204, commit: await undeleteStage(draft, stage, message) }
      })
    },

    createService(scope, context) {
      const { project, stage, service } = scope
      const message = messageOf(context, 'Create', scope)
      return write(repositories, project, 'commit', context, async (draft) => {
        const place = await findPlace(draft, { project, stage })
        const there = await findEntry(draft, place.tree, [service])
        if (there !== null && isFolder(there)) {
          throw new ServiceError('service_exists', 'Service already exists')
        }
        if (there !== null) {
          const sentence = `service ${service} cannot be created: ${service} is a file of the stage`
          throw new ServiceError('conflict', sentence)
        }
        const oid = draft.writeBlob(serviceMetadata(service, draft.atMs))
        const folder = draft.writeTree([[metadataFile, { mode: '100644', oid }]])
        const tree = await graft(draft, place.tree, [service], folder)
        return { status: 204, commit: await commitPlace(draft, place, { tree, message }) }
      })
    },

    deleteService(scope, context) {
      const message = messageOf(context, 'Delete', scope)
      return write(repositories, scope.project, 'commit', context, async (draft) => {
        const place = await findPlace(draft, scope)
        return { status: 204, commit: await commitPlace(draft, place, { tree: null, message }) }
      })
    },

    async listProjects(page, { at: _, ...context }) {
      const limit = Math.min(parsePageSize(page), maxNamesLooked)
      const items: ScopeItem[] = []
      const proof: Proof = { ageSeconds: 0, stale: false, immutable: false }
      let after = parseNameKey(page)
      if (limit === 0) return { items, nextPageKey: lastPageKey, totalCount: null, proof }
      for (let looked = 0; looked < maxNamesLooked; ) {
        const wanted = Math.min(limit - items.length, projectsAtOnce)
        const { names, more } = await repositories.listNames({
          ...(after === undefined ? {} : { after }),
          ...(context.signal === undefined ? {} : { signal: context.signal }),
          limit: wanted,
        })
        const found = await Promise.all(names.map((name) => lookAt(repositories, name, context)))
        for (const project of found) {
          if (project === null) continue
          items.push(project.item)
          proof.ageSeconds = Math.max(proof.ageSeconds, project.proof?.ageSeconds ?? 0)
          proof.stale ||= project.proof?.stale ?? false
        }
        after = names.at(-1) ?? after
        looked += names.length
        if (!more || names.length === 0)
          return { items, nextPageKey: lastPageKey, totalCount: null, proof }
        if (items.length >= limit) break
      }
      return { items, nextPageKey: toNameKey(after ?? ''), totalCount: null, proof }
    },
  }
}

/**
 * Every stage must be able to be a branch, also where it is a folder: the project may go back.
 * @throws stage_exists, or conflict for a name that no stage of this project can have
 */
async function checkNewStage(draft: Draft, stage: StageName): Promise<void> {
  if (stage === draft.defaultBranch) {
    throw new ServiceError('conflict', `${stage} is the project's default branch, so no stage`)
  }
  const stages = await layoutOf(draft.format).listStages(draft)
  if (stages.includes(stage)) throw new ServiceError('stage_exists', 'Stage already exists')
  const ref = branchRef(stage)
  const stageRefs = [...stages.map(branchRef), ref].map((name) => [name, noOid] as const)
  const refs = new Map([...draft.refs, ...futureRefs, ...stageRefs])
  if (findRefConflict(refs) !== null) {
    throw new ServiceError('conflict', `${ref} cannot stand beside the branches of the project`)
  }
  if (refListSizeBytes(refs) > refListMaxBytes) {
    const sentence = `the project has too many stages: their names take more than ${refListMaxBytes} bytes`
    throw new ServiceError('conflict', sentence)
  }
}

/** Describes a project; null for one that is gone. One that cannot be read now is named all the same. */
async function lookAt(
  repositories: Repositories,
  project: ProjectName,
  context: ReadContext,
): Promise<{ item: ScopeItem; proof?: Proof } | null> {
  try {
    const read = await repositories.read(
      project,
      (view) => describeScope(view, { project }),
      context,
    )
    return { item: read.value, proof: read.proof }
  } catch (error) {
    if (isServiceError(error, 'project_not_found')) return null
    const unreadable =
      isServiceError(error, 'project_stopped') || isServiceError(error, 'format_unsupported')
    if (unreadable) return { item: { name: project } }
    throw error
  }
}

function toNameKey(name: string): string {
  return Buffer.from(name).toString('base64url')
}

function parseNameKey({ pageKey }: PageRequest): string | undefined {
  if (pageKey === undefined || pageKey === lastPageKey) return undefined
  const name = Buffer.from(pageKey, 'base64url').toString()
  if (toNameKey(name) !== pageKey) throw invalidPage('nextPageKey')
  return name
}

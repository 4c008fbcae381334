/** The files of a random history: which builds there are, and how their users reach what they wrote. */
import type { Clock } from '../../src/clock.ts'
import type { Migration } from '../../src/cluster/migration.ts'
import { ServiceError } from '../../src/errors.ts'
import type { Oid } from '../../src/git/objects.ts'
import type {
  Draft,
  Outcome,
  ProjectName,
  Repositories,
  View,
} from '../../src/repository/repository.ts'
import { createResources } from '../../src/resources/git-resources.ts'
import { parseResourcePath } from '../../src/resources/paths.ts'
import type { ResourcePath, Resources, Scope } from '../../src/resources/resources.ts'
import { serviceScope, stageScope } from '../resources/fixture.ts'
import { builds as formatsOfThisTree } from '../simulation/cluster.ts'
import { committer } from '../simulation/make.ts'
import { builds } from './fixtures.ts'

export type Build = 1 | 2 | 3

export interface HistoryFile {
  scope: Scope
  path: ResourcePath
  acknowledged: string
  /** Written since, and nobody knows. */
  unknown: string[]
  /** What was acknowledged, at the commits that the answers named. */
  pinned: { commit: Oid; content: string }[]
}

/** Through what a file is reached: one replica's repositories. */
interface Reach {
  repositories: Repositories
  clock: Clock
}

export interface Family {
  title: string
  builds: Record<Build, readonly Migration[]>
  /** Makes the projects in format 1, with the oldest build. */
  create(reach: Reach): Promise<HistoryFile[]>
  /** @returns status 200 once it is written */
  write(reach: Reach, file: HistoryFile, content: string): Promise<Outcome>
  /** @param at only files of a family that keeps older commits readable are read so */
  read(reach: Reach, file: HistoryFile, at?: Oid): Promise<string>
  readsPinned: boolean
}

const projects = ['p', 'q', 'r'] as ProjectName[]
const timeoutMs = 25_000
const context = { principal: '', author: committer, sizeBytes: 10, timeoutMs }

function newFile(scope: Scope, path: string, acknowledged: string): HistoryFile {
  return { scope, path: parseResourcePath(path), acknowledged, unknown: [], pinned: [] }
}

/** Formats of which a history needs no more than that trees differ: with a folder around all files, and fenced. */
export const bare: Family = {
  title: 'random histories of builds and migrations',
  builds,
  readsPinned: false,
  async create({ repositories }) {
    for (const project of projects) {
      await repositories.write(project, {
        kind: 'create',
        async evaluate(draft) {
          draft.begin({ format: 1, defaultBranch: 'main' })
          draft.commit('main', { tree: draft.writeTree([]), message: 'new' })
          return { status: 201 }
        },
        ...context,
      })
    }
    return projects.flatMap((project) =>
      ['one', 'two'].map((name) => newFile({ project }, `${project}-${name}`, '')),
    )
  },
  write: ({ repositories }, file, content) =>
    repositories.write(file.scope.project, {
      kind: 'commit',
      evaluate: async (draft) => ({ status: 200, commit: await putBare(draft, file, content) }),
      ...context,
    }),
  async read({ repositories }, { scope, path }) {
    const { value } = await repositories.read(
      scope.project,
      async (view) => {
        const held = (await bareFilesOf(view)).get(path)
        return held === undefined ? '' : String(await view.readBlob(held.oid))
      },
      { timeoutMs },
    )
    return value
  },
}

/** As a service of every build finds a file: format 2 and later keep them in a folder. */
async function bareFilesOf(view: View) {
  const tip = view.refs.get('refs/heads/main') as Oid
  const root = await view.readTree((await view.readCommit(tip)).tree)
  return view.format === 1 ? root : view.readTree(root.get('moved')?.oid as Oid)
}

async function putBare(draft: Draft, { path }: HistoryFile, content: string): Promise<Oid> {
  const oid = draft.writeBlob(Buffer.from(content))
  const inner = draft.writeTree(
    new Map([...(await bareFilesOf(draft)), [path, { mode: '100644', oid }]]),
  )
  const isInner = draft.format === 1
  const tree = isInner ? inner : draft.writeTree([['moved', { mode: '040000', oid: inner }]])
  return draft.commit('main', { tree, message: content })
}

/** This tree's own formats, through the resources that clients are served with, at every commit; and one that fences. */
export const real: Family = {
  title: "random histories of this tree's formats",
  builds: formatsOfThisTree,
  readsPinned: true,
  async create(reach) {
    const resources = resourcesOf(reach)
    const files: HistoryFile[] = []
    for (const project of projects) {
      await resources.createProject(project, context)
      for (const stage of ['dev', 'prod']) {
        const inStage = stageScope(stage, project)
        await resources.createStage(inStage, context)
        await resources.createService(serviceScope(stage, 'carts', project), context)
        files.push(newFile(inStage, 'folder/slo.yaml', 'first'))
      }
      files.push(newFile({ project }, 'shipyard.yaml', 'first'))
      files.push(newFile(serviceScope('dev', 'carts', project), 'slo.yaml', 'first'))
    }
    for (const file of files) {
      const { commit } = await this.write(reach, file, file.acknowledged)
      if (commit !== undefined) file.pinned.push({ commit, content: file.acknowledged })
    }
    return files
  },
  write: (reach, { scope, path }, content) =>
    resourcesOf(reach).writeFiles(scope, [{ path, content: Buffer.from(content) }], 200, context),
  async read(reach, { scope, path }, at) {
    try {
      const { content } = await resourcesOf(reach).readFile(scope, path, {
        timeoutMs,
        ...(at && { at }),
      })
      return String(content)
    } catch (error) {
      // A replica that cannot answer says so; one that says there is no such file is wrong.
      if (error instanceof ServiceError && error.status === 404) return error.message
      throw error
    }
  },
}

function resourcesOf({ repositories, clock }: Reach): Resources {
  return createResources({ repositories, clock, defaultBranch: 'main' })
}

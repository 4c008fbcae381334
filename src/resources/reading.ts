/** Reads of files, lists and histories. */
import { LRUCache } from 'lru-cache'
import { isServiceError } from '../errors.ts'
import { type Oid, parseOid } from '../git/objects.ts'
import type { ProjectName, Proof, Repositories, View } from '../repository/repository.ts'
import { type ChartPath, parseChartPath } from './chart.ts'
import { packChart } from './chart-pack.ts'
import { walkHistory } from './history.ts'
import { levelOf, notFound } from './layout.ts'
import { metadataFile, readMetadata } from './metadata.ts'
import { cutPage, invalidPage, lastPageKey, parsePageSize } from './paging.ts'
import {
  checkProject,
  findInPlace,
  findPlace,
  findServiceMetadata,
  findTip,
  hidingIn,
  layoutOf,
  type Place,
} from './place.ts'
import type {
  FileAnswer,
  FileItem,
  Page,
  PageRequest,
  ReadContext,
  ResourcePath,
  Resources,
  Scope,
  ScopeItem,
  StageName,
} from './resources.ts'
import { findEntry, isFile, isFolder } from './tree.ts'
import { sortedByName, walkFiles } from './walk.ts'

/** Archives that were made are kept, up to so many bytes in all, and none larger than a quarter of it. */
const archiveCacheBytes = 32 * 1024 * 1024

/** Lists that were made are kept too, so that paging through a large one walks it once. */
const listCachePaths = 200_000

/** Files whose place is remembered, some 250 bytes each. */
const keptBlobs = 8_192

type Reading = Pick<Resources, 'readFile' | 'listFiles' | 'listStages' | 'listServices' | 'history'>

export function createReading(repositories: Repositories): Reading {
  const archives = new LRUCache<string, Buffer>({
    maxSize: archiveCacheBytes,
    maxEntrySize: archiveCacheBytes / 4,
    sizeCalculation: (archive) => archive.length,
  })

  /** What a path is in a commit never changes: hot files are found without a walk through their trees. */
  const blobs = new LRUCache<string, Oid>({ max: keptBlobs })

  const lists = new LRUCache<string, string[]>({
    maxSize: listCachePaths,
    maxEntrySize: listCachePaths / 4,
    sizeCalculation: (paths) => paths.length + 1,
  })

  const read = async <Value>(
    project: ProjectName,
    context: ReadContext,
    work: (view: View) => Promise<Value>,
  ): Promise<Value & { proof: Proof }> => {
    const { value, proof } = await repositories.read(project, work, context)
    return { ...value, proof }
  }

  const readArchive = async (view: View, tree: Oid, chart: ChartPath): Promise<Buffer | null> => {
    const key = `${tree}/${chart.name}`
    const archive = archives.get(key) ?? (await packChart(view, tree, chart))
    if (archive !== null) archives.set(key, archive)
    return archive
  }

  const readChart = async (view: View, place: Place, chart: ChartPath) => {
    const entry = await findInPlace(view, place, chart.folder)
    if (entry === null || !isFolder(entry)) return null
    const content = await readArchive(view, entry.oid, chart)
    return content === null ? null : { content, oid: entry.oid, commit: place.commit }
  }

  const findBlob = async (
    view: View,
    options: { scope: Scope; path: ResourcePath; commit: Oid; at: Oid | undefined },
  ): Promise<Oid> => {
    const { scope, path, commit, at } = options
    // Where stages are folders one commit serves all of them.
    const key = `${commit}${scope.stage ?? ''}/${scope.service ?? ''}/${path}`
    const known = blobs.get(key)
    if (known !== undefined) return known
    const entry = await findInPlace(view, await findPlace(view, scope, at), path)
    if (entry === null || !isFile(entry)) throw notFound('resource')
    blobs.set(key, entry.oid)
    return entry.oid
  }

  const readOne = async (
    view: View,
    { scope, path, at }: { scope: Scope; path: ResourcePath; at: Oid | undefined },
  ): Promise<Found> => {
    checkProject(view)
    const chart = parseChartPath(path)
    const commit = at ?? findTip(view, scope)
    const packed = chart && (await readChart(view, await findPlace(view, scope, at), chart))
    if (packed !== null) return packed
    const oid = await findBlob(view, { scope, path, commit, at })
    return { content: await view.readBlob(oid), oid, commit }
  }

  return {
    async readFile(scope, path, context): Promise<FileAnswer> {
      const { at } = context
      const work = (view: View): Promise<Found> =>
        context.inherits
          ? readWidening(scope, (wider) => readOne(view, { scope: wider, path, at }))
          : readOne(view, { scope, path, at })
      const options = { ...context, mayBeStale: true }
      const { value, proof } = await repositories.read(scope.project, work, options)
      // Spelled out, as everybody comes this way: to spread two objects into one takes V8 microseconds.
      const answer: FileAnswer = {
        content: value.content,
        oid: value.oid,
        commit: value.commit,
        proof,
      }
      if (value.level !== undefined) answer.level = value.level
      return answer
    },

    listFiles(scope, page, context): Promise<Page<FileItem>> {
      return read(scope.project, context, async (view) => {
        const { tree, commit } = await findPlace(view, scope, context.at)
        const key = `${tree}/${scope.service === undefined}`
        const paths = lists.get(key) ?? (await listPaths(view, tree, hidingIn(scope)))
        lists.set(key, paths)
        const { items, ...rest } = cutPage(paths, page)
        return { items: items.map((path) => ({ path, commit })), ...rest }
      })
    },

    listStages(project, page, { at: _, ...context }): Promise<Page<ScopeItem>> {
      return read(project, context, async (view) => {
        checkProject(view)
        const { items, ...rest } = cutPage(await layoutOf(view.format).listStages(view), page)
        const describe = (stage: StageName) => describeScope(view, { project, stage })
        return { items: await Promise.all(items.map(describe)), ...rest }
      })
    },

    listServices(scope, page, context): Promise<Page<ScopeItem>> {
      return read(scope.project, context, async (view) => {
        const { tree } = await findPlace(view, scope, context.at)
        const { items, ...rest } = cutPage(await findServices(view, tree), page)
        const describeService = (service: Service) => describe(view, service.name, service.metadata)
        return { items: await Promise.all(items.map(describeService)), ...rest }
      })
    },

    async history(scope, page, context) {
      const limit = parsePageSize(page)
      const start = parseCommitKey(page)
      return read(scope.project, context, async (view) => {
        if (start !== undefined && !(await view.hasCommit(start))) throw invalidPage('nextPageKey')
        const place = await findPlace(view, scope, context.at)
        const path = page.path === undefined ? [] : historyPath(page.path)
        const from = start ?? place.commit
        const { items, next } = await walkHistory(view, from, { scope, path, limit })
        const nextPageKey = limit === 0 || next === null ? lastPageKey : next
        return { items, nextPageKey, totalCount: null }
      })
    },
  }
}

/** A file as it was found. */
type Found = Omit<FileAnswer, 'proof'>

/** Absence is what lets a wider scope answer; whatever else goes wrong does not. */
const absences = ['resource_not_found', 'service_not_found'] as const

/** Looks in a service, then in its stage, then in the project. @throws what the narrowest scope says where none has it */
async function readWidening(scope: Scope, look: (scope: Scope) => Promise<Found>): Promise<Found> {
  let refusal: unknown
  for (const wider of widerScopes(scope)) {
    try {
      return { ...(await look(wider)), level: levelOf(wider) }
    } catch (error) {
      if (!absences.some((code) => isServiceError(error, code))) throw error
      refusal ??= error
    }
  }
  throw refusal
}

/** The scope itself, then each that holds it. */
function widerScopes({ project, stage, service }: Scope): Scope[] {
  const scopes: Scope[] = [{ project }]
  if (stage !== undefined) scopes.unshift({ project, stage })
  if (stage !== undefined && service !== undefined) scopes.unshift({ project, stage, service })
  return scopes
}

/**
 * Describes a project or a stage by its `metadata.yaml`; a stage that was forked as a branch has the project's.
 * @throws project_not_found, stage_not_found
 */
export async function describeScope(view: View, scope: Scope): Promise<ScopeItem> {
  const { tree } = await findPlace(view, scope)
  const entry = await findEntry(view, tree, [metadataFile])
  const name = scope.stage ?? scope.project
  return describe(view, name, entry?.oid)
}

async function describe(view: View, name: string, metadata?: Oid): Promise<ScopeItem> {
  if (metadata === undefined) return { name }
  const content = await view.readBlob(metadata)
  const { createdAtMs } = readMetadata(content)
  return createdAtMs === undefined ? { name } : { name, createdAtMs }
}

/** All files, with a slash in front of each, as Keptn lists them. */
async function listPaths(
  view: View,
  tree: Oid,
  hides: (name: string, depth: number) => boolean,
): Promise<string[]> {
  return (await walkFiles(view, tree, hides)).map(({ path }) => `/${path}`)
}

interface Service {
  name: string
  metadata: Oid
}

async function findServices(view: View, tree: Oid): Promise<Service[]> {
  const services: Service[] = []
  for (const [name, entry] of sortedByName(await view.readTree(tree))) {
    const metadata = await findServiceMetadata(view, entry)
    if (metadata !== null) services.push({ name, metadata: metadata.oid })
  }
  return services
}

/** A chart's history is its folder's. */
function historyPath(path: string): string[] {
  return (parseChartPath(path)?.folder ?? path).split('/')
}

/** The commit that a page begins with; undefined for the first page. */
function parseCommitKey({ pageKey = lastPageKey }: PageRequest): Oid | undefined {
  if (pageKey === lastPageKey) return undefined
  const oid = parseOid(pageKey)
  if (oid === null) throw invalidPage('nextPageKey')
  return oid
}

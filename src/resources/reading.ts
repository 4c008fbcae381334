/** Reads of files, lists and histories. */
import { LRUCache } from 'lru-cache'
import { type Oid, parseOid } from '../git/objects.ts'
import type { ProjectName, Proof, Repositories, View } from '../repository/repository.ts'
import { type ChartPath, parseChartPath } from './chart.ts'
import { packChart } from './chart-pack.ts'
import { walkHistory } from './history.ts'
import {
  branchRef,
  checkProject,
  findPlace,
  findServiceMetadata,
  findStage,
  findTip,
  isHidden,
  notFound,
  type Place,
} from './layout.ts'
import { metadataFile, readMetadata } from './metadata.ts'
import { parseStageName } from './names.ts'
import { cutPage, invalidPage, lastPageKey, parsePageSize } from './paging.ts'
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
import { compareNames, sortedByName, walkFiles } from './walk.ts'

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
    const entry = await findEntry(view, place.tree, chart.folder.split('/'))
    if (entry === null || !isFolder(entry)) return null
    const content = await readArchive(view, entry.oid, chart)
    return content === null ? null : { content, oid: entry.oid, commit: place.commit }
  }

  const findBlob = async (
    view: View,
    { scope, path, commit }: { scope: Scope; path: ResourcePath; commit: Oid },
  ): Promise<Oid> => {
    // Where stages are folders one commit serves all of them.
    const key = `${commit}${scope.stage ?? ''}/${scope.service ?? ''}/${path}`
    const known = blobs.get(key)
    if (known !== undefined) return known
    const place = await findPlace(view, scope, commit)
    const entry = await findEntry(view, place.tree, path.split('/'))
    if (entry === null || !isFile(entry)) throw notFound('resource')
    blobs.set(key, entry.oid)
    return entry.oid
  }

  return {
    async readFile(scope, path, context): Promise<FileAnswer> {
      const chart = parseChartPath(path)
      const work = async (view: View) => {
        checkProject(view)
        const commit = context.at ?? findTip(view, scope)
        const packed = chart && (await readChart(view, await findPlace(view, scope, commit), chart))
        if (packed !== null) return packed
        const oid = await findBlob(view, { scope, path, commit })
        return { content: await view.readBlob(oid), oid, commit }
      }
      const options = { ...context, mayBeStale: true }
      const { value, proof } = await repositories.read(scope.project, work, options)
      // Spelled out, as everybody comes this way: to spread two objects into one takes V8 microseconds.
      return { content: value.content, oid: value.oid, commit: value.commit, proof }
    },

    listFiles(scope, page, context): Promise<Page<FileItem>> {
      return read(scope.project, context, async (view) => {
        const { tree, commit } = await findPlace(view, scope, context.at)
        const hides = (name: string, depth: number) => isHidden(scope, name, depth)
        const key = `${tree}/${scope.service === undefined}`
        const paths = lists.get(key) ?? (await listPaths(view, tree, hides))
        lists.set(key, paths)
        const { items, ...rest } = cutPage(paths, page)
        return { items: items.map((path) => ({ path, commit })), ...rest }
      })
    },

    listStages(project, page, { at: _, ...context }): Promise<Page<ScopeItem>> {
      return read(project, context, async (view) => {
        checkProject(view)
        const { items, ...rest } = cutPage(stageNames(view), page)
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
        const segments = [...place.folder, ...path]
        const from = start ?? place.commit
        const { items, next } = await walkHistory(view, from, { segments, limit })
        const nextPageKey = limit === 0 || next === null ? lastPageKey : next
        return { items, nextPageKey, totalCount: null }
      })
    },
  }
}

/**
 * Describes a project or a stage by the `metadata.yaml` of its branch, which in format 1 is the project's in both.
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

function stageNames(view: View): StageName[] {
  const prefix = branchRef('')
  const branches = [...view.refs.keys()].filter((ref) => ref.startsWith(prefix))
  return branches
    .map((ref) => ref.slice(prefix.length) as StageName)
    .filter((name) => isStageName(name) && findStage(view, name) !== null)
    .sort(compareNames)
}

/** An imported branch may have a name that no stage can have. */
function isStageName(name: string): boolean {
  try {
    parseStageName(name)
    return true
  } catch {
    return false
  }
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

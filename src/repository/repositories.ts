/** All projects of a replica: opens each when it is first asked for, and answers reads and writes of it. */
import { type Clock, type Randomness, within } from '../clock.ts'
import { commitNotFound, isServiceError, ServiceError } from '../errors.ts'
import type { Lock } from '../lock/lock.ts'
import type { Observer } from '../observe.ts'
import { type Store, StoreError } from '../store/store.ts'
import type { PackCache } from './cache.ts'
import {
  createTurns,
  type Environment,
  type RepositorySettings,
  storeTimeoutMs,
} from './environment.ts'
import { escapeProject, projectKeys, projectsPrefix, unescapeProject } from './keys.ts'
import { createLog, type Log } from './log.ts'
import { createObjectCache } from './object-cache.ts'
import type { ProjectName, Proof, ReadOptions, Repositories, View } from './repository.ts'
import { exists, type Snapshot } from './snapshot.ts'
import { createWriter, queueMaxRequests, type Writer } from './writer.ts'

/** Writes that may wait in this process, all projects together. */
const queueMaxAll = 8_192
/** A read at a commit may learn so late that the project was deleted. */
const commitReadMaxAgeMs = 10_000

export interface RepositoriesOptions {
  store: Store
  /** The content of `store.json`: whose caches and checkpoints are of use. */
  storeId: string
  lock: Lock
  clock: Clock
  random: Randomness
  observer: Observer
  /** The cache folder, closed with the repositories; null works without. */
  cache: PackCache | null
  /** Objects in memory, bytes; open projects may take as much again. */
  memoryMaxBytes: number
  settings: RepositorySettings
  /** Why writes are refused now (the store broke its contract at start), or null. */
  unfit(): string | null
}

interface Project {
  log: Log
  writer: Writer
  /** The newest state, as reads see it. */
  view(): View
  /** Reads and writes under way; an empty project that nobody uses is forgotten. */
  users: number
  /** What it was last found to take in memory. */
  weightBytes: number
}

/** What an open project takes beside its objects. */
export const projectWeightBytes = 16 * 1024

/** Opens nothing yet: every project is opened by its first read or write. */
export function createRepositories(options: RepositoriesOptions): Repositories {
  const { store, observer, settings } = options
  const environment: Environment = {
    ...options,
    objects: createObjectCache(options.memoryMaxBytes),
    inTurn: createTurns(),
    looksInTurn: createTurns(),
  }
  /** The latest used last. */
  const projects = new Map<ProjectName, Project>()
  let weightBytes = 0
  let nextId = 1
  let queued = 0

  const projectOf = (name: ProjectName): Project => {
    let project = projects.get(name)
    if (!project) {
      const keys = projectKeys(name)
      const cache = environment.cache?.of(name) ?? null
      const onStopped = () => observer.set('stopped_projects', stopped().length)
      const log = createLog({ environment, project: name, id: nextId++, keys, cache, onStopped })
      const writer = createWriter({ environment, project: name, keys, log })
      project = { log, writer, view: createViews(log), users: 0, weightBytes: 0 }
      projects.set(name, project)
    }
    return project
  }

  const tellMemory = () => {
    observer.set('open_projects', projects.size)
    observer.set('open_projects_bytes', weightBytes)
  }

  const stopped = () =>
    [...projects].flatMap(([project, { log }]) =>
      log.stopped ? [{ project, ...log.stopped }] : [],
    )

  const enter = (name: ProjectName): Project => {
    const project = projectOf(name)
    project.users++
    return project
  }

  const leave = (name: ProjectName, project: Project) => {
    project.users--
    // It was used until now, and may have been asked for before those that are idle by now.
    projects.delete(name)
    projects.set(name, project)
    weigh(project)
    if (project.log.snapshot.seq === 0) forget(name, project)
    for (const [idle, one] of projects) {
      // Whoever was used just now would be back at once, however much it takes.
      if (weightBytes <= options.memoryMaxBytes || one === project) return
      forget(idle, one)
    }
  }

  const weigh = (project: Project) => {
    const now = projectWeightBytes + project.log.objects.weightBytes
    if (now === project.weightBytes) return
    weightBytes += now - project.weightBytes
    project.weightBytes = now
    tellMemory()
  }

  /** Leaves a project to the bucket and the cache folder, as a restart does; not one that is in use, or is stopped. */
  const forget = (name: ProjectName, project: Project) => {
    const { log, writer, users } = project
    if (users > 0 || writer.queued > 0 || log.stopped) return
    log.close()
    projects.delete(name)
    weightBytes -= project.weightBytes
    tellMemory()
  }

  const requireReadable = (name: ProjectName, { log }: Project) => {
    const [, to] = settings.formats.reads
    const { minReader } = log.snapshot
    if (minReader <= to) return
    throw new ServiceError(
      'format_unsupported',
      `could not check out ${name}: it needs a reader of format ${minReader}, this build reads up to ${to}`,
    )
  }

  const readNow = async <T>(
    name: ProjectName,
    project: Project,
    work: (view: View) => Promise<T>,
    proof: Proof,
  ) => {
    requireReadable(name, project)
    return { value: await work(project.view()), proof }
  }

  const ageOf = ({ log }: Project) => Math.floor(log.ageMs() / 1000)

  /** Tries to answer from the state at hand. @returns null where only a proven state may answer */
  const readAtHand = async <T>(
    name: ProjectName,
    project: Project,
    work: (view: View) => Promise<T>,
    { at, maxStaleSeconds = 0 }: ReadOptions,
  ): Promise<{ value: T; proof: Proof } | null> => {
    const ageMs = project.log.ageMs()
    if (project.log.stopped) return null
    if (at !== undefined && ageMs <= commitReadMaxAgeMs) {
      if (!(await project.view().hasCommit(at))) return null
      return readNow(name, project, work, { ageSeconds: 0, stale: false, immutable: true })
    }
    if (at !== undefined || maxStaleSeconds === 0 || ageMs > maxStaleSeconds * 1000) return null
    try {
      const proof = { ageSeconds: ageOf(project), stale: false, immutable: false }
      return await readNow(name, project, work, proof)
    } catch (error) {
      // What it lacks, and every refusal, takes the ordinary way.
      if (isServiceError(error) || error instanceof StoreError) return null
      throw error
    }
  }

  /** Answers while the store is away, if the state at hand is young enough and has what is asked for. */
  const readStale = async <T>(
    name: ProjectName,
    project: Project,
    work: (view: View) => Promise<T>,
    cause: unknown,
  ): Promise<{ value: T; proof: Proof }> => {
    const ageSeconds = ageOf(project)
    const { seq } = project.log.snapshot
    if (project.log.stopped || seq === 0 || ageSeconds > settings.staleReadsMaxSeconds) throw cause
    try {
      const proof = { ageSeconds, stale: true, immutable: false }
      const answer = await readNow(name, project, work, proof)
      observer.count('stale_answers_total')
      return answer
    } catch (error) {
      if (isServiceError(error, 'format_unsupported')) throw error
      throw cause
    }
  }

  const readProject = async <T>(
    name: ProjectName,
    work: (view: View) => Promise<T>,
    read: ReadOptions,
  ): Promise<{ value: T; proof: Proof }> => {
    const project = enter(name)
    try {
      const { at } = read
      if (at !== undefined || read.maxStaleSeconds) {
        const answer = await readAtHand(name, project, work, read)
        if (answer) return answer
      }
      try {
        await project.log.prove()
      } catch (error) {
        if (!read.mayBeStale || !isAway(error)) throw error
        return await readStale(name, project, work, error)
      }
      if (at !== undefined && exists(project.log.snapshot)) await requireCommit(name, project, at)
      requireReadable(name, project)
      const value = await work(project.view())
      return { value, proof: { ageSeconds: 0, stale: false, immutable: at !== undefined } }
    } finally {
      leave(name, project)
    }
  }

  const requireCommit = async (
    name: ProjectName,
    project: Project,
    at: NonNullable<ReadOptions['at']>,
  ) => {
    if (!(await project.view().hasCommit(at))) throw commitNotFound(name, at)
  }

  return {
    async read(name, work, read) {
      try {
        const { timeoutMs } = read
        return await within(options.clock, timeoutMs, readProject(name, work, read), () => {
          throw new ServiceError('store_unavailable', `no answer within ${timeoutMs} ms`)
        })
      } catch (error) {
        throw readError(name, error)
      }
    },
    async write(name, request) {
      const reason = options.unfit()
      if (reason !== null) throw new ServiceError('store_unfit', reason)
      const project = enter(name)
      try {
        if (queued >= queueMaxAll || project.writer.queued >= queueMaxRequests) {
          throw new ServiceError('overloaded', `too many writes wait, project ${name} among them`)
        }
        observer.set('queued_writes', ++queued)
        try {
          return await project.writer.write(request)
        } finally {
          observer.set('queued_writes', --queued)
        }
      } finally {
        leave(name, project)
      }
    },
    async listNames(page) {
      try {
        return await listNames(store, page)
      } catch (error) {
        throw readError('the list of projects', error)
      }
    },
    stopped,
    recent: () =>
      [...projects]
        .filter(([, { log }]) => log.snapshot.seq > 0)
        .map(([name]) => name)
        .reverse(),
    async close() {
      for (const { log } of projects.values()) log.close()
      await environment.cache?.close()
    },
  }
}

/** One page of the names of projects in a store. @see Repositories.listNames @throws StoreError */
export async function listNames(
  store: Store,
  { after, limit, signal }: Parameters<Repositories['listNames']>[0],
): ReturnType<Repositories['listNames']> {
  let startAfter = after === undefined ? undefined : `${projectsPrefix}${escapeProject(after)}/`
  for (;;) {
    const page = await store.list({
      prefix: projectsPrefix,
      // Behind every key that the project may have.
      ...(startAfter !== undefined && { startAfter: `${startAfter}\u{10FFFF}` }),
      delimiter: '/',
      limit,
      timeoutMs: storeTimeoutMs,
      ...(signal && { signal }),
    })
    const names = page.prefixes.flatMap((prefix) => {
      const name = unescapeProject(prefix.slice(projectsPrefix.length, -1))
      return name === null ? [] : [name]
    })
    // A page may hold nothing but folders that are no project's.
    if (names.length > 0 || page.next === null) return { names, more: page.next !== null }
    startAfter = page.next
  }
}

/** @returns what gives the newest state, the same view as long as it is the newest */
function createViews(log: Log): () => View {
  const { objects } = log
  let newest: Snapshot | null = null
  let view: View
  return () => {
    const { snapshot } = log
    if (snapshot !== newest) {
      newest = snapshot
      view = {
        seq: snapshot.seq,
        lastKind: snapshot.kind,
        exists: exists(snapshot),
        format: snapshot.format,
        defaultBranch: snapshot.defaultBranch,
        refs: snapshot.refs,
        readTree: objects.readTree,
        readBlob: objects.readBlob,
        readCommit: objects.readCommit,
        hasCommit: async (oid) => exists(snapshot) && objects.hasCommit(oid, snapshot.incarnation),
      }
    }
    return view
  }
}

/** Whether the store was away, as against having said something. */
function isAway(error: unknown): boolean {
  return error instanceof StoreError || isServiceError(error, 'store_unavailable')
}

/** What a reader is told; older clients take only this beginning for anything else than "no such file". */
function readError(what: string, error: unknown): unknown {
  if (error instanceof StoreError || isServiceError(error, 'store_unavailable')) {
    const message = `could not check out ${what}: the bucket did not answer: ${error.message}`
    return new ServiceError('store_unavailable', message, { cause: error })
  }
  if (isServiceError(error, 'project_stopped')) {
    const message = `could not check out ${what}: ${error.message}`
    return new ServiceError('project_stopped', message, { cause: error })
  }
  return error
}

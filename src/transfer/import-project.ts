/**
 * Brings a foreign repository into the store as a project, all of it or nothing: packs first, each acknowledged, then the one entry
 * that names them.
 */
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, createPauses, type Randomness } from '../clock.ts'
import { isServiceError, ServiceError } from '../errors.ts'
import { entryMaxBytes, refListSizeBytes } from '../git/bundle.ts'
import type { Identity, Oid } from '../git/objects.ts'
import type { SpilledPack } from '../repository/entry.ts'
import { mapParallel } from '../repository/environment.ts'
import { projectKeys } from '../repository/keys.ts'
import type { Draft, Outcome, ProjectName, Repositories, View } from '../repository/repository.ts'
import { branchRef } from '../resources/layout.ts'
import { type Store, StoreError } from '../store/store.ts'
import { type Git, GitError } from './git.ts'
import { type Recognised, recognise } from './recognise.ts'
import { Refusal } from './refusal.ts'
import { check, listPacks, type OnProgress, type PackFile, repack, repackNew } from './repack.ts'
import { openSource, type Source } from './source.ts'

/** Where projects come to. */
export interface Target {
  repositories: Repositories
  store: Store
  clock: Clock
  random: Randomness
  /** Who commits. */
  committer: Identity
  /** Sees that projects may have a format. @returns null, else a sentence that says why not */
  allow(format: number): Promise<string | null>
  /** Whether a format is allowed still, by what is known now. */
  isAllowed(format: number): boolean
}

export interface ImportOptions {
  git: Git
  /** A folder for what is made on the way; removed in the end. */
  work: string
  project: ProjectName
  from: string
  defaultBranch: string | undefined
  remote: string | undefined
  noTags: boolean
  anyLayout: boolean
  /** Bring what is new to a project that was imported before. */
  update: boolean
  /** Check everything, write nothing. */
  dryRun: boolean
  onProgress: OnProgress
}

export interface Imported extends Recognised {
  project: ProjectName
  kind: Source['kind']
  /** `updated` brought what was new, `unchanged` found nothing new. */
  outcome: 'imported' | 'updated' | 'unchanged'
  branches: number
  tags: number
  commits: number
  /** What was packed anew. */
  packs: number
  bytes: number
}

const timeoutMs = 60_000
const uploadTimeoutMs = 300_000
const uploadTries = 8
const uploadsAtOnce = 2
const writeTries = 5
/** What an entry takes to name a pack, and besides refs, packs and prerequisites. */
const packLineBytes = 256
const frameBytes = 2_048

/**
 * Imports one project.
 * @throws Refusal, GitError, StoreError, ServiceError: nothing was written then, but packs that nobody names; only `outcome_unknown`
 *   leaves that open
 */
export async function importProject(target: Target, options: ImportOptions): Promise<Imported> {
  const { git, work, project, update, onProgress } = options
  try {
    const before = await readState(target, project)
    if (before.exists && !update) throw new Refusal(`project ${project} exists already`)
    const source = withoutTags(
      await openSource(options.from, { git, view: join(work, 'view'), remote: options.remote }),
      options,
    )
    const recognised = await recognise(git, source.source, options)
    recognised.notes.push(...source.notes)
    const refusal = await target.allow(recognised.format)
    if (refusal !== null) throw new Refusal(`it has format ${recognised.format}, and ${refusal}`)
    const whole = join(work, 'whole')
    await git.init(whole)
    const { view, refs, bytes, kind } = source.source
    await repack({ git, from: view, to: whole, refs, bytes, onProgress })
    await check(git, whole, onProgress)
    const names = [...refs.keys()]
    const counts = {
      branches: names.filter((name) => name.startsWith(branchRef(''))).length,
      tags: names.filter((name) => name.startsWith('refs/tags/')).length,
      commits: await countCommits(git, whole),
    }
    const told = { ...recognised, ...counts, project, kind }
    const incoming = { ...recognised, refs }
    const news = before.exists
      ? await packNews(options, { before, incoming, whole, bytes })
      : { packs: await listPacks(whole), prerequisites: [] }
    if (news === null) return { ...told, outcome: 'unchanged', packs: 0, bytes: 0 }
    checkRoom(incoming, news)
    if (!options.dryRun) await commit(target, { project, before, incoming, news, onProgress })
    return {
      ...told,
      outcome: before.exists ? 'updated' : 'imported',
      packs: news.packs.length,
      bytes: news.packs.reduce((sum, pack) => sum + pack.bytes, 0),
    }
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

function withoutTags(source: Source, { noTags }: ImportOptions) {
  if (!noTags) return { source, notes: [] }
  const refs = [...source.refs].filter(([name]) => !name.startsWith('refs/tags/'))
  const count = source.refs.size - refs.length
  const notes = count === 0 ? [] : [`left out: ${count} tags`]
  return { source: { ...source, refs: new Map(refs) }, notes }
}

interface State {
  exists: boolean
  lastKind: View['lastKind']
  format: number
  defaultBranch: string
  refs: ReadonlyMap<string, Oid>
}

interface Incoming {
  format: number
  defaultBranch: string
  refs: ReadonlyMap<string, Oid>
}

/** What has to be uploaded. */
interface News {
  packs: PackFile[]
  prerequisites: Oid[]
}

async function readState({ repositories }: Target, project: ProjectName): Promise<State> {
  const { value } = await repositories.read(project, async (view) => stateOf(view), { timeoutMs })
  return value
}

function stateOf({ exists, lastKind, format, defaultBranch, refs }: View): State {
  const own = [...refs].filter(([name]) => !name.startsWith('refs/meta/'))
  return { exists, lastKind, format, defaultBranch, refs: new Map(own) }
}

async function countCommits(git: Git, folder: string): Promise<number> {
  const { output } = await git.run(folder, ['rev-list', '--count', '--all'])
  return Number(output.toString())
}

/**
 * Packs what a project does not have yet.
 * @returns null where it has everything
 * @throws Refusal where its history would be replaced, or somebody has written to it here
 */
async function packNews(
  { git, work, project, onProgress }: ImportOptions,
  parts: { before: State; incoming: Incoming; whole: string; bytes: number },
): Promise<News | null> {
  const { before, incoming, whole, bytes } = parts
  const touched = touchedBy(project, before)
  if (touched !== null) throw new Refusal(touched)
  const { format, defaultBranch, refs } = incoming
  const again = 'delete the project here and import it again'
  if (format !== before.format || defaultBranch !== before.defaultBranch) {
    throw new Refusal(
      `project ${project} had format ${before.format} and default branch ${before.defaultBranch} when it was imported, and now has format ${format} and ${defaultBranch}: ${again}`,
    )
  }
  if (isSame(before.refs, refs)) return null
  for (const [name, oid] of before.refs) {
    const now = refs.get(name)
    if (now === undefined || now === oid) continue
    if (!name.startsWith('refs/heads/') || !(await isAncestor(git, whole, oid, now))) {
      throw new Refusal(`the history of ${name} was replaced since it was imported: ${again}`)
    }
  }
  const to = join(work, 'news')
  await git.init(to)
  const since = [...before.refs].filter(([name]) => refs.has(name)).map(([, oid]) => oid)
  const tips = [...refs.values()]
  const prerequisites = await repackNew({ git, from: whole, to, tips, since, bytes, onProgress })
  return { packs: await listPacks(to), prerequisites }
}

async function isAncestor(git: Git, folder: string, oid: Oid, of: Oid): Promise<boolean> {
  try {
    await git.run(folder, ['merge-base', '--is-ancestor', oid, of])
    return true
  } catch (error) {
    // A commit that is not there is no ancestor either; a git that was killed has said nothing.
    if (error instanceof GitError && error.exitCode !== null) return false
    throw error
  }
}

/** Until somebody writes here, an import's is the newest entry. @returns null, or a sentence */
function touchedBy(project: ProjectName, { exists, lastKind }: State): string | null {
  if (exists && lastKind === 'import') return null
  return `somebody has written to project ${project} here since it was imported: what is new there cannot be brought in`
}

/** @throws Refusal for what an entry has no room for */
function checkRoom({ refs }: Incoming, { packs, prerequisites }: News): void {
  const takenBytes =
    refListSizeBytes(refs) + packs.length * packLineBytes + prerequisites.length * 42
  if (takenBytes + frameBytes <= entryMaxBytes) return
  throw new Refusal(
    `${refs.size} refs, ${packs.length} packs and ${prerequisites.length} prerequisites do not fit into one entry`,
  )
}

function isSame(left: ReadonlyMap<string, Oid>, right: ReadonlyMap<string, Oid>): boolean {
  return left.size === right.size && [...left].every(([name, oid]) => right.get(name) === oid)
}

/** Uploads, and then makes it one entry. */
async function commit(
  target: Target,
  parts: {
    project: ProjectName
    before: State
    incoming: Incoming
    news: News
    onProgress: OnProgress
  },
): Promise<void> {
  const { project, before, incoming, news, onProgress } = parts
  const { format, defaultBranch, refs } = incoming
  let done = 0
  const packs = await mapParallel(news.packs, uploadsAtOnce, async (pack) => {
    const uploaded = await upload(target, project, pack)
    onProgress('upload', ++done, news.packs.length)
    return uploaded
  })
  const evaluate = async (draft: Draft) => {
    // What was checked when the work began, which may be an hour ago, holds when it is written, or nothing is.
    if (before.exists) {
      const touched = touchedBy(project, stateOf(draft))
      if (touched !== null) throw refusalOf(touched)
      if (!isSame(stateOf(draft).refs, before.refs)) throw refusalOf('another import was faster')
    } else if (draft.exists) {
      throw new ServiceError('project_exists', `project ${project} exists already`)
    }
    if (!target.isAllowed(format)) throw refusalOf(`format ${format} is not allowed any more`)
    if (!before.exists) draft.begin({ format, defaultBranch })
    draft.adopt({ refs, packs, prerequisites: news.prerequisites })
    return { status: 204, commit: refs.get(branchRef(defaultBranch)) as Oid }
  }
  await writeUntilKnown(target, { project, refs, evaluate })
}

/** An entry that was sent and not answered may land as long as nothing else takes its slot: the next attempt sees to that. */
async function writeUntilKnown(
  target: Target,
  parts: {
    project: ProjectName
    refs: ReadonlyMap<string, Oid>
    evaluate: (draft: Draft) => Promise<Outcome>
  },
): Promise<void> {
  const { project, refs, evaluate } = parts
  for (let tries = 1; ; tries++) {
    try {
      const { status, message } = await target.repositories.write(project, {
        kind: 'import',
        evaluate,
        principal: '',
        author: target.committer,
        sizeBytes: 0,
        timeoutMs,
      })
      if (status < 400) return
      throw new Refusal(message)
    } catch (error) {
      if (!isServiceError(error, 'outcome_unknown') || tries === writeTries) throw error
      const now = await readState(target, project)
      if (now.lastKind === 'import' && isSame(now.refs, refs)) return
    }
  }
}

const refusalOf = (message: string) => new ServiceError('conflict', message)

/** Uploads a pack, and its index beside the checkpoints, so that nobody who starts has to make it again. */
async function upload(target: Target, project: ProjectName, pack: PackFile): Promise<SpilledPack> {
  const keys = projectKeys(project)
  const { bytes, sha256, indexSha256 } = pack
  const name = `${uuidOf(sha256)}.pack`
  await put(target, keys.spilledPack(name), pack.path)
  await put(target, keys.checkpointIndex(sha256), pack.index)
  return { name, bytes, sha256, indexSha256 }
}

/** The same pack has the same name, so that an import that was killed leaves nothing behind that the next does not use. */
function uuidOf(sha256: string): string {
  const variant = ((Number.parseInt(sha256.slice(16, 17), 16) & 3) | 8).toString(16)
  const digits = `${sha256.slice(0, 12)}8${sha256.slice(13, 16)}${variant}${sha256.slice(17, 32)}`
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

async function put(target: Target, key: string, path: string): Promise<void> {
  const pause = createPauses(target)
  const body = await readFile(path)
  for (let tries = 1; ; tries++) {
    try {
      await target.store.put(key, body, { timeoutMs: uploadTimeoutMs })
      return
    } catch (error) {
      if (!(error instanceof StoreError) || tries === uploadTries) throw error
    }
    await pause()
  }
}

/**
 * The verbs `import` and `export` as commands: words in, one report on stdout, progress on stderr.
 * @see docs/from-keptn.md
 */
import { setMaxListeners } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { identityOf, openLock, openPassing, openStore } from './adapters.ts'
import { clusterTimes } from './cluster/announcement.ts'
import { createClusterLog } from './cluster/cluster-log.ts'
import { type Formats, formatsOf } from './cluster/formats.ts'
import type { Migration } from './cluster/migration.ts'
import { mayHave, permit } from './cluster/permit.ts'
import { listProjects, lookAt } from './cluster/walk.ts'
import type { Config, Environment } from './config.ts'
import { isServiceError, sentence } from './errors.ts'
import { silent } from './observe.ts'
import { createProgressLine } from './progress-line.ts'
import { escapeProject, unescapeProject } from './repository/keys.ts'
import type { ProjectName, Repositories } from './repository/repository.ts'
import { parseProjectName } from './resources/names.ts'
import type { RuledStore } from './store/probe.ts'
import { systemClock, systemRandomness } from './system-clock.ts'
import { exportProject } from './transfer/export-project.ts'
import { type Git, openGit } from './transfer/git.ts'
import { importProject, type Target } from './transfer/import-project.ts'
import { Refusal } from './transfer/refusal.ts'
import type { OnProgress } from './transfer/repack.ts'
import { nameOfSource } from './transfer/source.ts'
import {
  describeExported,
  describeImported,
  exitCodeOf,
  type Told,
  tellTransfer,
} from './transfer-report.ts'
import { fail, membershipOfJob, reach, runOnce } from './verb.ts'
import { version } from './version.ts'

export interface TransferOptions {
  verb: 'import' | 'export'
  /** What stands behind the verb. */
  words: readonly string[]
  environment: Environment
  /** Ends the work; what is not written whole by then is not written. */
  stop: Promise<unknown>
  migrations: readonly Migration[]
}

const flags = {
  project: { type: 'string' },
  all: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
} as const
const importFlags = {
  ...flags,
  from: { type: 'string' },
  'dry-run': { type: 'boolean', default: false },
  update: { type: 'boolean', default: false },
  'default-branch': { type: 'string' },
  remote: { type: 'string' },
  'no-tags': { type: 'boolean', default: false },
  'any-layout': { type: 'boolean', default: false },
} as const
const exportFlags = { ...flags, to: { type: 'string' } } as const

interface Common {
  json: boolean
  /** Null for all. */
  project: ProjectName | null
  /** Where from, or where to. */
  path: string
}

interface ImportCommand extends Common {
  verb: 'import'
  dryRun: boolean
  update: boolean
  defaultBranch: string | undefined
  remote: string | undefined
  noTags: boolean
  anyLayout: boolean
}

type Command = ImportCommand | (Common & { verb: 'export' })

/** What every project's turn is given. */
interface Place {
  config: Config
  store: RuledStore
  repositories: Repositories
  onProgress: OnProgress
  signal: AbortSignal
}

/** A project, and what to do with it. */
interface Task {
  name: string
  run: () => Promise<Told>
}

/**
 * Runs one verb to its end.
 * @returns the exit code: 0 done, 1 of several projects some are not done, 2 failed or called wrongly, 3 refused
 */
export async function transfer(options: TransferOptions): Promise<number> {
  const { verb } = options
  const command = parseCommand(verb, options.words)
  if (typeof command === 'string') return fail(`${verb}: ${command}`)
  return runOnce(options.environment, {
    async work({ config }) {
      const told = await run(command, config, options)
      tellTransfer(command, told)
      return exitCodeOf(told, { isAll: command.project === null })
    },
    failure: (reason) => `${verb} failed: ${reason}`,
  })
}

/** @returns the command, or a sentence that says what is wrong with it */
function parseCommand(verb: 'import' | 'export', words: readonly string[]): Command | string {
  try {
    if (verb === 'export') {
      const { values } = parseArgs({ args: [...words], options: exportFlags })
      return { verb, ...commonOf(values, values.to, '--to <folder>') }
    }
    const { values } = parseArgs({ args: [...words], options: importFlags })
    return {
      verb,
      ...commonOf(values, values.from, '--from <repository>'),
      dryRun: values['dry-run'],
      update: values.update,
      defaultBranch: values['default-branch'],
      remote: values.remote,
      noTags: values['no-tags'],
      anyLayout: values['any-layout'],
    }
  } catch (error) {
    return sentence(error)
  }
}

function commonOf(
  { project, all, json }: { project?: string | undefined; all: boolean; json: boolean },
  path: string | undefined,
  where: string,
): Common {
  if ((project === undefined) !== all)
    throw new Error('either --project <name> or --all is expected')
  if (path === undefined || path === '') throw new Error(`${where} is expected`)
  return { json, project: project === undefined ? null : parseProjectName(project), path }
}

async function run(command: Command, config: Config, options: TransferOptions): Promise<Told[]> {
  const ended = new AbortController()
  setMaxListeners(0, ended.signal)
  void options.stop.then(() => ended.abort(new Error('interrupted')))
  const store = await openStore(config)
  const lock = await openLock(config, silent)
  const progress = createProgressLine(process.stderr)
  const formats = formatsOf(options.migrations)
  try {
    const isWriting = command.verb === 'import' && !command.dryRun
    const { signal } = ended
    const reached = await reach(store, { probe: isWriting, signal })
    const repositories = openPassing({ config, observer: silent, store, lock, ...reached, formats })
    const onProgress: OnProgress = (what, visited, total) =>
      progress.show({ what, visited, total, unit: '' })
    const place = { config, store, repositories, onProgress, signal }
    try {
      if (command.verb === 'import') return await asMember(command, place, formats)
      return await inTurn(await exportTasks(command, place), signal)
    } finally {
      await repositories.close()
    }
  } finally {
    progress.end()
    await lock.close()
    await store.close()
  }
}

/** One after the other; what goes wrong with one is told, and the next has its turn. */
async function inTurn(tasks: readonly Task[], signal: AbortSignal): Promise<Told[]> {
  const all: Told[] = []
  for (const { name, run } of tasks) {
    signal.throwIfAborted()
    try {
      all.push(await run())
    } catch (error) {
      if (signal.aborted) throw new Error('interrupted: run it again', { cause: error })
      all.push({ project: name, verdict: verdictOf(error), message: sentence(error) })
    }
  }
  return all
}

/** A refusal stays one when it is tried again. */
function verdictOf(error: unknown): 'refused' | 'failed' {
  const isRefused = error instanceof Refusal || (isServiceError(error) && error.status < 500)
  return isRefused ? 'refused' : 'failed'
}

async function asMember(command: ImportCommand, place: Place, formats: Formats): Promise<Told[]> {
  const { config, store, repositories, signal } = place
  const system = { clock: systemClock, random: systemRandomness }
  const log = createClusterLog({ ...system, store, build: version() })
  const times = clusterTimes(config.heartbeatSeconds)
  let writing: Promise<unknown> | undefined
  const membership = membershipOfJob({ store, log, times, formats, quiesce: () => writing })
  const target: Target = {
    ...system,
    store,
    repositories: {
      ...repositories,
      write(project, request) {
        const written = repositories.write(project, request)
        writing = written.catch(() => {})
        return written
      },
    },
    committer: identityOf(config),
    async allow(format) {
      const { expanded } = await log.follow()
      if (expanded === 0) return 'nothing has been prepared for it: run `migrate expand` first'
      return command.dryRun ? null : permit({ log, store, times, formats, format })
    },
    isAllowed: (format) => mayHave(log.state, format),
  }
  const work = await mkdtemp(join(tmpdir(), 'configuration-service-import-'))
  try {
    if (!command.dryRun) await membership.join()
    const git = await openGit(join(work, 'home'), signal)
    return await inTurn(await importTasks(command, { ...place, target, git, work }), signal)
  } finally {
    await rm(work, { recursive: true, force: true })
    await membership.leave()
  }
}

async function importTasks(
  command: ImportCommand,
  { onProgress, target, git, work }: Place & { target: Target; git: Git; work: string },
): Promise<Task[]> {
  const { project, path, defaultBranch, remote, dryRun } = command
  const sources = project === null ? await listSources(path) : [{ name: project, path }]
  return sources.map(({ name, path: from }) => ({
    name,
    async run() {
      const imported = await importProject(target, {
        ...command,
        git,
        work: join(work, 'project'),
        project: parseProjectName(name),
        from,
        defaultBranch,
        remote,
        onProgress: (what, done, total) => onProgress(`${name}: ${what}`, done, total),
      })
      return describeImported(imported, { dryRun })
    },
  }))
}

/** What a folder holds of repositories and bundles, by the names that projects get. */
async function listSources(folder: string): Promise<{ name: string; path: string }[]> {
  const entries = await readdir(folder, { withFileTypes: true })
  const sources = entries
    .filter(({ name }) => !name.startsWith('.') && name !== 'lost+found')
    .filter((entry) => entry.isDirectory() || entry.name.endsWith('.bundle'))
    .map((entry) => {
      const plain = nameOfSource(entry.name)
      return { name: unescapeProject(plain) ?? plain, path: join(folder, entry.name) }
    })
    .sort((left, right) => (left.name < right.name ? -1 : 1))
  const twice = sources.find(({ name }, at) => sources[at + 1]?.name === name)
  if (twice !== undefined) throw new Error(`${folder} holds project ${twice.name} twice`)
  if (sources.length === 0) throw new Error(`${folder} holds no repositories`)
  return sources
}

async function exportTasks(
  { project, path }: Common,
  { repositories, store, signal, onProgress }: Place,
): Promise<Task[]> {
  const names = project === null ? await listExisting(repositories) : [project]
  return names.map((name) => ({
    name,
    run: async () =>
      describeExported(
        await exportProject({
          store,
          project: name,
          to: project === null ? join(path, `${escapeProject(name)}.git`) : path,
          signal,
          onProgress: (what, done, total) => onProgress(`${name}: ${what}`, done, total),
        }),
      ),
  }))
}

async function listExisting(repositories: Repositories): Promise<ProjectName[]> {
  const names: ProjectName[] = []
  for (const project of await listProjects(repositories)) {
    const found = await lookAt(repositories, project)
    if (found?.exists) names.push(project)
  }
  return names
}

/**
 * The verb `verify`: reads everything back that projects are made of, and says what is not as it has to be, and what to do about it.
 * It takes no lock and changes nothing, unless it is told to put checkpoints right.
 */
import { setMaxListeners } from 'node:events'
import { parseArgs } from 'node:util'
import { openStore } from './adapters.ts'
import { verifyClusterLog } from './cluster/verify.ts'
import { listProjects } from './cluster/walk.ts'
import type { Config, Environment } from './config.ts'
import { sentence } from './errors.ts'
import { createProgressLine } from './progress-line.ts'
import { inWords, type Problem } from './repository/damage.ts'
import { storeTimeoutMs } from './repository/environment.ts'
import { insist } from './repository/insist.ts'
import { projectKeys } from './repository/keys.ts'
import { listNames } from './repository/repositories.ts'
import type { ProjectName } from './repository/repository.ts'
import { type Verified, verifyProject } from './repository/verify.ts'
import { parseProjectName } from './resources/names.ts'
import { findStoreIdentity, storeIdentityKey, storeIdentityRemedy } from './store/identity.ts'
import { type Store, StoreError } from './store/store.ts'
import { systemClock, systemRandomness } from './system-clock.ts'
import { fail, runOnce } from './verb.ts'

interface Command {
  /** Null for all. */
  project: ProjectName | null
  json: boolean
  repairs: boolean
}

interface Report extends Verified {
  project: ProjectName
}

/** A store that does not answer for so long fails the verb. */
const patienceMs = 30_000

/**
 * Runs the verb to its end.
 * @param options.stop ends it between two projects, or two entries
 * @returns the exit code: 0 all is well, 1 something is not, 2 failed or called wrongly
 */
export async function verify(options: {
  /** What stands behind the verb. */
  words: readonly string[]
  environment: Environment
  stop: Promise<unknown>
}): Promise<number> {
  const command = parseCommand(options.words)
  if (typeof command === 'string') return fail(`verify: ${command}`)
  const ended = new AbortController()
  setMaxListeners(0, ended.signal)
  void options.stop.then(() => ended.abort(new Error('interrupted')))
  return runOnce(options.environment, {
    async work({ config }) {
      const { problems, projects } = await run(command, config, ended.signal)
      if (command.json) {
        process.stdout.write(`${JSON.stringify({ verb: 'verify', problems, projects })}\n`)
      }
      return [{ problems }, ...projects].every(({ problems }) => problems.length === 0) ? 0 : 1
    },
    failure: (reason) => `verify: failed: ${reason}`,
  })
}

/** @returns the command, or a sentence that says what is wrong with it */
function parseCommand(words: readonly string[]): Command | string {
  try {
    const { values } = parseArgs({
      args: [...words],
      options: {
        project: { type: 'string' },
        json: { type: 'boolean', default: false },
        'repair-checkpoints': { type: 'boolean', default: false },
      },
    })
    const project = values.project === undefined ? null : parseProjectName(values.project)
    return { project, json: values.json, repairs: values['repair-checkpoints'] }
  } catch (error) {
    return sentence(error)
  }
}

async function run(
  { project, json, repairs }: Command,
  config: Config,
  signal: AbortSignal,
): Promise<{ problems: Problem[]; projects: Report[] }> {
  const store = await openStore(config)
  const line = createProgressLine(process.stderr)
  try {
    const time = { clock: systemClock, random: systemRandomness }
    const giveUpMs = systemClock.monotonicMs() + patienceMs
    const { storeId, problems } = await insist(time, giveUpMs, async () => {
      signal.throwIfAborted()
      return verifyStore(store)
    })
    if (!json) for (const one of problems) process.stderr.write(`${inWords(one)}\n`)
    const names =
      project === null
        ? await listProjects({ listNames: (page) => listNames(store, page) })
        : [project]
    const reports: Report[] = []
    for (const name of names) {
      const verified = await verifyProject({
        place: { environment: { store, storeId }, keys: projectKeys(name) },
        repairs,
        onProgress(visited, total) {
          signal.throwIfAborted()
          line.show({ what: name, visited, total, unit: ' entries' })
        },
      })
      line.end()
      if (project !== null && isNothing(verified)) throw new Error(`there is no project ${project}`)
      reports.push({ project: name, ...verified })
      if (!json) tellProject(name, verified)
    }
    return { problems, projects: reports }
  } finally {
    line.end()
    await store.close()
  }
}

/** Whether there is no log, as against one whose first entry is damaged. */
function isNothing({ entries, problems }: Verified): boolean {
  return entries === 0 && problems.length === 0
}

function tellProject(name: ProjectName, verified: Verified): void {
  const { entries, objects, spilledPacks, checkpoints, problems, repaired } = verified
  const held = `${entries} entries, ${objects} objects, ${spilledPacks} packs, ${checkpoints} checkpoints`
  const word = problems.length === 0 ? 'all is well' : `${problems.length} problems`
  process.stdout.write(`${name}: ${word}: ${held}\n`)
  for (const { object, problem } of repaired) {
    process.stdout.write(`  ${object} ${problem}: put right\n`)
  }
  for (const one of problems) process.stderr.write(`  ${inWords(one)}\n`)
}

/**
 * Verifies what belongs to no project: the store's identity and the cluster log. Announcements are written again every few seconds
 * by who made them.
 * @returns what is not as it has to be, and the store's id: null where it cannot be told
 * @throws StoreError
 */
export async function verifyStore(
  store: Store,
): Promise<{ storeId: string | null; problems: Problem[] }> {
  const log = await verifyClusterLog(store)
  const identity = await readIdentity(store)
  // Nobody has begun anything there.
  if (identity.problem === 'is absent' && log.entries === 0 && !(await hasProjects(store))) {
    return { storeId: null, problems: log.problems }
  }
  const { storeId, problem } = identity
  const told = { object: storeIdentityKey, problem, remedy: storeIdentityRemedy }
  return { storeId, problems: [...(storeId === null ? [told] : []), ...log.problems] }
}

/** @returns the store's id, or what is the matter with it */
async function readIdentity(store: Store): Promise<{ storeId: string | null; problem: string }> {
  try {
    const found = await findStoreIdentity(store, { timeoutMs: storeTimeoutMs })
    return { storeId: found?.storeId ?? null, problem: 'is absent' }
  } catch (error) {
    if (!(error instanceof StoreError) || error.reason !== 'IdentityUnreadable') throw error
    return { storeId: null, problem: 'cannot be read' }
  }
}

async function hasProjects(store: Store): Promise<boolean> {
  const { names } = await listNames(store, { limit: 1 })
  return names.length > 0
}

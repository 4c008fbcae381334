/**
 * The verb `accept-restore`: words in, one report on stdout. It says first what is left of a project's log and what becomes of the
 * rest, and then lets the project go on from there.
 * @see docs/design.md, section 5
 */
import { parseArgs } from 'node:util'
import { openStore } from './adapters.ts'
import { listAnnouncements } from './cluster/announcement.ts'
import { type Verdict, verdicts } from './cluster/expand.ts'
import { formatsOf } from './cluster/formats.ts'
import type { Migration } from './cluster/migration.ts'
import type { Config, Environment } from './config.ts'
import { sentence } from './errors.ts'
import { tellReport } from './migrate-report.ts'
import { projectKeys } from './repository/keys.ts'
import type { ProjectName } from './repository/repository.ts'
import { acceptRestore, type Findings, inspectLog, isBroken } from './repository/restore.ts'
import { parseProjectName } from './resources/names.ts'
import type { Store } from './store/store.ts'
import { systemClock, systemRandomness } from './system-clock.ts'
import { fail, reach, runOnce } from './verb.ts'
import { version } from './version.ts'

const verb = 'accept-restore'

interface Command {
  project: ProjectName
  json: boolean
  dryRun: boolean
}

interface Options {
  /** What stands behind the verb. */
  words: readonly string[]
  environment: Environment
  migrations: readonly Migration[]
}

type Report = Findings & { verdict: Verdict; message: string; applied: number }

/** Runs the verb to its end. @returns the exit code: 0 done, 2 failed or called wrongly, 3 refused */
export async function acceptRestoreVerb(options: Options): Promise<number> {
  const command = parseCommand(options.words)
  if (typeof command === 'string') return fail(`${verb}: ${command}`)
  return runOnce(options.environment, {
    async work({ config }) {
      const report = await run(command, config, options)
      tellReport({ ...command, name: verb, verb }, report)
      return verdicts[report.verdict]
    },
    failure: (reason) => `${verb}: failed: ${reason}; run it again to go on`,
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
        'dry-run': { type: 'boolean', default: false },
      },
    })
    if (values.project === undefined) return '--project <name> is expected'
    const project = parseProjectName(values.project)
    return { project, json: values.json, dryRun: values['dry-run'] }
  } catch (error) {
    return sentence(error)
  }
}

async function run(
  { project, json, dryRun }: Command,
  config: Config,
  { migrations }: Options,
): Promise<Report> {
  const store = await openStore(config)
  try {
    const { unfit } = await reach(store, {
      probe: !dryRun,
      signal: new AbortController().signal,
    })
    const place = { store, keys: projectKeys(project) }
    const applied = await appliedElsewhere(store, project)
    const found = await inspectLog(place)
    const report = { ...found, applied }
    if (unfit !== null) return { ...report, verdict: 'refused', message: unfit }
    if (!isBroken(found, applied)) {
      return { ...report, verdict: 'done', message: `nothing to accept: ${wholeness(found)}` }
    }
    const told = describe(report)
    if (dryRun) return { ...report, verdict: 'done', message: told }
    if (!json) process.stdout.write(`${told}\n`)
    const { acceptedUpTo } = await acceptRestore({
      ...place,
      clock: systemClock,
      random: systemRandomness,
      build: version(),
      applied,
      format: formatsOf(migrations).writes[0],
    })
    const message = `accepted: the log goes on after entry ${acceptedUpTo}; replicas that are stopped look again within 30 s`
    return { ...report, verdict: 'done', message }
  } finally {
    await store.close()
  }
}

/** The newest entry of a project that a replica which is stopped has applied; 0 where none says so. */
async function appliedElsewhere(store: Store, project: ProjectName): Promise<number> {
  const announced = await listAnnouncements(store)
  const applied = announced.flatMap(({ stopped }) =>
    stopped.flatMap((one) => (one.project === project ? [one.applied] : [])),
  )
  return Math.max(0, ...applied)
}

const wholeness = ({ intact }: Findings) =>
  intact === 0 ? 'the log is empty' : `the log is whole, entries 1 to ${intact}`

function describe(report: Findings & { applied: number }): string {
  const { intact, because, beyond, checkpointed, applied, missingPacks } = report
  const once = Math.max(applied, checkpointed, ...beyond.map(({ seq }) => seq))
  const lines = [
    intact === 0 ? 'Nothing of the log is left.' : `Entries 1 to ${intact} are there and whole.`,
    ...(because === null ? [] : [`It does not go on: ${because}.`]),
    ...(once > intact ? [`The log once reached entry ${once} at least.`] : []),
    ...(applied > 0 ? [`A replica that is stopped has applied entry ${applied}.`] : []),
    ...beyond.map(strayInWords),
    ...missingPacks.map((name) => `Pack ${name} is missing: files in it cannot be read.`),
    `Once accepted, what was written after entry ${intact} counts no more; entries beyond are kept under set-aside/.`,
  ]
  return lines.join('\n')
}

function strayInWords({ seq, kind, at, requests }: Findings['beyond'][number]): string {
  if (kind === undefined) return `Entry ${seq} is there and cannot be read.`
  return `Entry ${seq} is there, beyond the gap: ${kind} of ${at}, ${requests} requests.`
}

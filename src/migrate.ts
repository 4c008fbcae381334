/**
 * The verbs `migrate expand | status | to <format>` as a command: words in, one report on stdout, progress on stderr.
 * @see docs/design.md, section 6
 */
import { setMaxListeners } from 'node:events'
import { parseArgs } from 'node:util'
import { identityOf, newReplicaId, openLock, openPassing, openStore } from './adapters.ts'
import { type ClusterTimes, clusterTimes } from './cluster/announcement.ts'
import { type ClusterLog, createClusterLog } from './cluster/cluster-log.ts'
import { converge } from './cluster/converge.ts'
import { createConversions } from './cluster/convert.ts'
import { expand, type Runner, verdicts } from './cluster/expand.ts'
import { type Formats, formatsOf } from './cluster/formats.ts'
import type { Migration } from './cluster/migration.ts'
import { readStatus } from './cluster/status.ts'
import type { Config, Environment } from './config.ts'
import { sentence } from './errors.ts'
import { describeStatus, type Report, tellReport } from './migrate-report.ts'
import { silent } from './observe.ts'
import { createProgressLine } from './progress-line.ts'
import type { RuledStore } from './store/probe.ts'
import { systemClock, systemRandomness } from './system-clock.ts'
import { fail, membershipOfJob, reach, runOnce } from './verb.ts'
import { version } from './version.ts'

export interface MigrateOptions {
  /** What stands behind `migrate`. */
  words: readonly string[]
  environment: Environment
  /** Ends the work after the projects under way; what was done stays. */
  stop: Promise<unknown>
  migrations: readonly Migration[]
}

interface Common {
  json: boolean
  dryRun: boolean
}

interface ToCommand extends Common {
  verb: 'to'
  format: number
  forget: readonly string[]
  acceptIrreversible: boolean
  rate: number
  waitMs: number
}

type Command = ToCommand | (Common & { verb: 'expand' | 'status' })

const flags = {
  json: { type: 'boolean', default: false },
  'dry-run': { type: 'boolean', default: false },
  forget: { type: 'string', multiple: true, default: [] as string[] },
  'accept-irreversible': { type: 'boolean', default: false },
  rate: { type: 'string', default: '20' },
  wait: { type: 'string', default: '0' },
} as const
const flagsOf = { expand: ['json', 'dry-run'], status: ['json'], to: Object.keys(flags) }

/**
 * Runs one verb to its end.
 * @returns the exit code: 0 done, 1 more to do, 2 failed or called wrongly, 3 refused
 */
export async function migrate(options: MigrateOptions): Promise<number> {
  const command = parseCommand(options.words)
  if (typeof command === 'string') return fail(`migrate: ${command}`)
  const name = `migrate ${command.verb}`
  return runOnce(options.environment, {
    async work({ config }) {
      const report = await run(command, config, options)
      tellReport({ ...command, name }, report)
      return verdicts[report.verdict]
    },
    failure: (reason) => `${name} failed: ${reason}; run it again to go on`,
  })
}

/** @returns the command, or a sentence that says what is wrong with it */
function parseCommand(words: readonly string[]): Command | string {
  try {
    const { values, positionals, tokens } = parseArgs({
      args: [...words],
      options: flags,
      allowPositionals: true,
      tokens: true,
    })
    const [verb = '', ...others] = positionals
    if (verb !== 'expand' && verb !== 'status' && verb !== 'to') {
      return `expand, status or to <format> is expected, not '${verb}'`
    }
    const given = tokens.flatMap((token) => (token.kind === 'option' ? [token.name] : []))
    const foreign = given.find((name) => !flagsOf[verb].includes(name))
    if (foreign !== undefined) return `${verb} takes no --${foreign}`
    const common = { json: values.json, dryRun: values['dry-run'] }
    if (verb !== 'to') {
      return others.length === 0 ? { verb, ...common } : `${verb} takes no '${others[0]}'`
    }
    if (others.length !== 1) return 'to takes one format'
    return {
      verb,
      ...common,
      format: numberOf('format', others[0], { min: 1, max: 9_999, isWhole: true }),
      forget: values.forget,
      acceptIrreversible: values['accept-irreversible'],
      rate: numberOf('--rate', values.rate, { min: 0.01, max: 10_000 }),
      waitMs: 1_000 * numberOf('--wait', values.wait, { min: 0, max: 86_400 }),
    }
  } catch (error) {
    return sentence(error)
  }
}

function numberOf(
  name: string,
  text: string | undefined,
  { min, max, isWhole = false }: { min: number; max: number; isWhole?: boolean },
): number {
  const value = /^\d+(\.\d+)?$/.test(text ?? '') ? Number(text) : Number.NaN
  if (value >= min && value <= max && (!isWhole || Number.isInteger(value))) return value
  throw new Error(`${name} must be a ${isWhole ? 'whole ' : ''}number from ${min} to ${max}`)
}

async function run(command: Command, config: Config, options: MigrateOptions): Promise<Report> {
  const ended = new AbortController()
  setMaxListeners(0, ended.signal)
  void options.stop.then(() => ended.abort())
  const store = await openStore(config)
  const lock = await openLock(config, silent)
  const progress = createProgressLine(process.stderr)
  try {
    const reached = await reach(store, { probe: command.verb !== 'status', signal: ended.signal })
    const formats = formatsOf(options.migrations)
    const place = { config, observer: silent, store, lock, ...reached, formats }
    const runner: Runner = {
      log: createClusterLog({ ...system, store, build: version() }),
      migrations: options.migrations,
      open: () => openPassing(place),
      committer: identityOf(config),
      unfit: reached.unfit,
      onProgress: progress.show,
      isOver: () => ended.signal.aborted,
      dryRun: command.dryRun,
    }
    const times = clusterTimes(config.heartbeatSeconds)
    return await runVerb(command, runner, { store, times, formats })
  } finally {
    progress.end()
    await lock.close()
    await store.close()
  }
}

const system = { clock: systemClock, random: systemRandomness }

interface Place {
  store: RuledStore
  times: ClusterTimes
  formats: Formats
}

async function runVerb(command: Command, runner: Runner, place: Place): Promise<Report> {
  if (command.verb === 'status') {
    const status = await readStatus({ ...runner, ...place })
    return { verdict: 'done', message: describeStatus(status), ...status }
  }
  return command.verb === 'to' ? convergeAsMember(command, runner, place) : expand(runner)
}

async function convergeAsMember(
  command: ToCommand,
  runner: Runner,
  { store, times, formats }: Place,
): Promise<Report> {
  const self = newReplicaId()
  const conversions = createConversions(runner)
  const membership = membershipOfJob(
    { store, log: runner.log as ClusterLog, times, formats, quiesce: conversions.quiet },
    self,
  )
  if (!command.dryRun) await membership.join()
  try {
    const place = { ...runner, store, clock: systemClock, times, conversions, self }
    return await converge({ ...place, ...command })
  } finally {
    await membership.leave()
  }
}

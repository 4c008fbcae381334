/**
 * `npm run bench`: measures every row of `rows.ts` three times (on a slow store once), each with its baseline in the same run, and writes the results.
 * Exit code: 0 all musts are reached, 1 one is missed, 2 called wrongly.
 */
import { parseArgs } from 'node:util'
import { type S3Server, startMinio } from '../test/support/servers.ts'
import { idle } from './idle.ts'
import { batchLatency, readLatency, writeLatency } from './latency.ts'
import { longLog } from './long-log.ts'
import { memory } from './memory.ts'
import { mixedLoad } from './mixed-load.ts'
import { type PeerRun, runPeers } from './peers.ts'
import { judgePeers, makePeerReport, renderContenderLine, writePeerReport } from './peers-report.ts'
import { createPlace, type Place, type StoreOptions } from './place.ts'
import { profile } from './profile.ts'
import { readLoad } from './read-load.ts'
import { renderLine, writeReport } from './report.ts'
import { judge, type Result, type RowName, rows, type Sample } from './rows.ts'
import type { Effort } from './scenario.ts'
import { start } from './start.ts'
import { manyProjectsLoad, replicaLoad, writeLoad } from './write-load.ts'

const usage = `npm run bench [-- flags]
  --row <name>  only this row, or several times: ${rows.map(({ name }) => name).join(', ')}
  --quick       one short run, to see that it works; writes no results
  --store-delay MILLISECONDS
                each call to the store takes so much longer, as it would at S3; what comes out is told and judged by nobody
  --profile     no rows: prints what takes the service's processor time under reads and under writes
  --peers       other rows: the service beside etcd, git, MinIO and Koa, all in one run
`

const scenarios = [
  readLoad,
  readLatency,
  writeLatency,
  writeLoad,
  replicaLoad,
  manyProjectsLoad,
  longLog,
  batchLatency,
  mixedLoad,
  memory,
  idle,
  start,
]

/** How much is done for each row, and how many times. */
interface Plan {
  effort: Effort
  runs: number
}

const load = { sliceSeconds: 4, warmUpSeconds: 2, rounds: 2 }
const sizes = { samples: 4_000, starts: 5, entries: 10_000, projects: 1_000, bystanders: 10_000 }
const full: Plan = { effort: { ...load, ...sizes }, runs: 3 }
/** On a slow store what is done one after the other takes ten times as long, and nothing is judged. */
const slowed: Plan = {
  effort: { ...load, ...sizes, samples: 400, projects: 100, bystanders: 1_000 },
  runs: 1,
}
const shortLoad = { sliceSeconds: 1, warmUpSeconds: 1, rounds: 1 }
const quick: Plan = {
  effort: {
    ...shortLoad,
    ...{ samples: 100, starts: 2, entries: 300, projects: 20, bystanders: 100 },
  },
  runs: 1,
}

/** Runs what is asked for. @returns the exit code */
async function main(): Promise<number> {
  const flags = readFlags()
  if (flags === undefined) {
    process.stderr.write(usage)
    return 2
  }
  let started: Promise<S3Server> | undefined
  const minio = () => {
    started ??= startMinio()
    return started
  }
  try {
    if (flags.peers) return await comparePeers(flags.quick)
    if (flags.profile) {
      const seconds = flags.quick ? quick.effort.sliceSeconds : 3 * full.effort.sliceSeconds
      await inPlace({ minio }, (place) => profile(place, seconds))
      return 0
    }
    const results = await measureAll({ minio, delayMs: flags.delayMs }, flags)
    if (!flags.quick) writeReport(results, flags.delayMs)
    if (flags.delayMs > 0) return 0
    return exitCodeOf(results)
  } finally {
    await (await started)?.stop()
  }
}

/** With what caused it: a failed `fetch` says nothing by itself. */
function sentenceOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message}: ${sentenceOf(error.cause)}`
}

interface Flags {
  delayMs: number
  rows: readonly string[]
  quick: boolean
  profile: boolean
  peers: boolean
}

function readFlags(): Flags | undefined {
  try {
    const { values } = parseArgs({
      options: {
        row: { type: 'string', multiple: true, default: [] },
        quick: { type: 'boolean', default: false },
        profile: { type: 'boolean', default: false },
        peers: { type: 'boolean', default: false },
        'store-delay': { type: 'string', default: '0' },
      },
    })
    const delayMs = Number(values['store-delay'])
    if (!(delayMs >= 0 && delayMs <= 1_000)) return undefined
    const names: readonly string[] = rows.map(({ name }) => name)
    if (!values.row.every((name) => names.includes(name))) return undefined
    const choosesRows = values.row.length > 0 || delayMs > 0 || values.profile
    if (values.peers && choosesRows) return undefined
    return { ...values, delayMs, rows: values.row.length === 0 ? names : values.row }
  } catch {
    return undefined
  }
}

async function measureAll(on: StoreOptions, flags: Flags): Promise<Result[]> {
  const plan = flags.quick ? quick : flags.delayMs > 0 ? slowed : full
  const results: Result[] = []
  for (const scenario of scenarios) {
    const asked = scenario.rows.filter((name) => flags.rows.includes(name))
    if (asked.length === 0) continue
    const outcome = await repeat(plan, (effort) =>
      inPlace(on, (place) => scenario.run(place, effort)),
    )
    for (const name of asked) {
      const result = resultOf(name, outcome)
      results.push(result)
      console.log(renderLine(result))
    }
  }
  return results
}

async function inPlace<T>(on: StoreOptions, work: (place: Place) => Promise<T>): Promise<T> {
  const place = createPlace(on)
  try {
    return await work(place)
  } finally {
    await place.close()
  }
}

/** @returns the exit code */
async function comparePeers(isQuick: boolean): Promise<number> {
  const outcome = await repeat<PeerRun>(isQuick ? quick : full, runPeers)
  const results = judgePeers(outcome, new Date().toISOString())
  if (outcome.error === undefined) {
    const report = makePeerReport(outcome.runs, results)
    for (const contender of report.contenders) console.log(renderContenderLine(contender))
    if (!isQuick) writePeerReport(report)
  }
  for (const result of results) console.log(renderLine(result))
  return exitCodeOf(results)
}

function exitCodeOf(results: readonly Result[]): number {
  return results.some(({ verdict }) => verdict === 'missed') ? 1 : 0
}

interface Outcome<Run> {
  runs: Run[]
  error?: string
}

async function repeat<Run>(
  plan: Plan,
  once: (effort: Effort) => Promise<Run>,
): Promise<Outcome<Run>> {
  const runs: Run[] = []
  try {
    while (runs.length < plan.runs) runs.push(await once(plan.effort))
    return { runs }
  } catch (error) {
    return { runs, error: sentenceOf(error) }
  }
}

function resultOf(
  name: RowName,
  { runs, error }: Outcome<Partial<Record<RowName, Sample>>>,
): Result {
  const row = rows.find((one) => one.name === name)
  if (row === undefined) throw new Error(`no row ${name}`)
  const samples = runs.flatMap((run) => run[name] ?? [])
  return judge(row, {
    samples,
    at: new Date().toISOString(),
    ...(error !== undefined && { error }),
  })
}

process.exit(await main())

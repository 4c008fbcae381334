/**
 * `npm run bench`: measures every row of `rows.ts` three times, each with its baseline in the same run, and writes the results.
 * Exit code: 0 all musts are reached, 1 one is missed, 2 called wrongly.
 */
import { parseArgs } from 'node:util'
import { type S3Server, startMinio } from '../test/support/servers.ts'
import { readLatency, writeLatency } from './latency.ts'
import { createPlace, type Place } from './place.ts'
import { profile } from './profile.ts'
import { readLoad } from './read-load.ts'
import { renderLine, writeReport } from './report.ts'
import { judge, type Result, type RowName, rows, type Sample } from './rows.ts'
import type { Effort, Scenario } from './scenario.ts'
import { start } from './start.ts'
import { replicaLoad, writeLoad } from './write-load.ts'

const usage = `npm run bench [-- flags]
  --row <name>  only this row, or several times: ${rows.map(({ name }) => name).join(', ')}
  --quick       one short run, to see that it works; writes no results
  --profile     no rows: prints what takes the service's processor time under reads and under writes
`

const scenarios = [readLoad, readLatency, writeLatency, writeLoad, replicaLoad, start]
const full = { sliceSeconds: 4, warmUpSeconds: 2, rounds: 2, samples: 4_000, starts: 5 }
const quick = { sliceSeconds: 1, warmUpSeconds: 1, rounds: 1, samples: 100, starts: 2 }
const fullRuns = 3

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
    if (flags.profile) {
      const seconds = flags.quick ? quick.sliceSeconds : 3 * full.sliceSeconds
      await inPlace(minio, (place) => profile(place, seconds))
      return 0
    }
    const results = await measureAll(minio, flags)
    if (!flags.quick) writeReport(results)
    return results.some(({ verdict }) => verdict === 'missed') ? 1 : 0
  } finally {
    await (await started)?.stop()
  }
}

/** With what caused it: a failed `fetch` says nothing by itself. */
function sentenceOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message}: ${sentenceOf(error.cause)}`
}

type StartedMinio = () => Promise<S3Server>

interface Flags {
  rows: readonly string[]
  quick: boolean
  profile: boolean
}

function readFlags(): Flags | undefined {
  try {
    const { values } = parseArgs({
      options: {
        row: { type: 'string', multiple: true, default: [] },
        quick: { type: 'boolean', default: false },
        profile: { type: 'boolean', default: false },
      },
    })
    const names: readonly string[] = rows.map(({ name }) => name)
    if (!values.row.every((name) => names.includes(name))) return undefined
    return { ...values, rows: values.row.length === 0 ? names : values.row }
  } catch {
    return undefined
  }
}

async function measureAll(minio: StartedMinio, flags: Flags): Promise<Result[]> {
  const results: Result[] = []
  for (const scenario of scenarios) {
    const asked = scenario.rows.filter((name) => flags.rows.includes(name))
    if (asked.length === 0) continue
    const outcome = await repeat(scenario, minio, flags.quick)
    for (const name of asked) {
      const result = resultOf(name, outcome)
      results.push(result)
      console.log(renderLine(result))
    }
  }
  return results
}

async function inPlace<T>(minio: StartedMinio, work: (place: Place) => Promise<T>): Promise<T> {
  const place = createPlace(minio)
  try {
    return await work(place)
  } finally {
    await place.close()
  }
}

interface Outcome {
  runs: Partial<Record<RowName, Sample>>[]
  error?: string
}

async function repeat(scenario: Scenario, minio: StartedMinio, isQuick: boolean): Promise<Outcome> {
  const effort: Effort = isQuick ? quick : full
  const runs: Outcome['runs'] = []
  try {
    for (let run = 0; run < (isQuick ? 1 : fullRuns); run++) {
      runs.push(await inPlace(minio, (place) => scenario.run(place, effort)))
    }
    return { runs }
  } catch (error) {
    return { runs, error: sentenceOf(error) }
  }
}

function resultOf(name: RowName, { runs, error }: Outcome): Result {
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

/** The verbs of `migrate` as an operator runs them, and where they say that the cluster stands. */
import type { StatusReport } from '../../src/cluster/status.ts'
import type { Build } from './fleet.ts'
import type { Stage, Standing } from './scenario.ts'
import type { Stand } from './stand.ts'

export interface Ended {
  exit: number | string
  output: string
}

/** Runs `migrate …` to its end. */
export async function migrated(stand: Stand, build: Build, words: string): Promise<Ended> {
  const startedMs = performance.now()
  const job = stand.migrate(build, words)
  const exit = await job.ended()
  const took = Math.round(performance.now() - startedMs)
  stand.say(`${build.name}: migrate ${words} ended with ${exit} after ${took} ms`)
  return { exit, output: job.output() }
}

/** @param says what its output has to hold @returns a sentence where it ended otherwise */
export function mustEnd({ exit, output }: Ended, expected: number, says = /(?:)/): string[] {
  if (exit === expected && says.test(output)) return []
  return [`a job ended with ${exit}, not with ${expected} and ${says}: ${output.slice(-500)}`]
}

const triesMost = 3

/** Runs `migrate …` again as long as it asks for that, as a Job of Kubernetes does, three times in all. */
export async function migratedAtLast(stand: Stand, build: Build, words: string): Promise<Ended> {
  for (let tries = 1; ; tries++) {
    const ended = await migrated(stand, build, words)
    const asksAgain = ended.exit === 1 || /run it again/.test(ended.output)
    if (!asksAgain || tries === triesMost) return ended
    stand.say(`it asks to be run again: ${ended.output.slice(-300)}`)
  }
}

/** Runs a job of this build that has to be done at last. @returns a sentence where it is not */
export async function mustMigrate(stand: Stand, words: string): Promise<string[]> {
  return mustEnd(await migratedAtLast(stand, stand.build('this'), words), 0)
}

export async function statusOf(stand: Stand): Promise<StatusReport> {
  for (let tries = 1; ; tries++) {
    const job = stand.migrate(stand.build('this'), 'status --json')
    const exit = await job.ended()
    const [line] = job.output().match(/^\{.*\}$/m) ?? []
    if (exit === 0 && line !== undefined) return JSON.parse(line) as StatusReport
    if (tries === triesMost) throw new Error(`migrate status: ${exit} ${job.output()}`)
  }
}

/** Compares where the cluster stands, and what was made before, through one replica. @returns a sentence for each difference */
export async function standsAt(stage: Stage, standing: Standing): Promise<string[]> {
  const { projects, target, replicas } = await statusOf(stage)
  const { format, reached, killed = 0 } = standing
  const faults: string[] = []
  const expect = (what: string, is: unknown, shall: unknown) => {
    if (JSON.stringify(is) === JSON.stringify(shall)) return
    faults.push(`${what}: ${JSON.stringify(is)}, not ${JSON.stringify(shall)}`)
  }
  expect('projects by format', projects.byFormat, { [format]: stage.projects })
  expect('stopped projects', projects.stopped, [])
  expect('target', target && [target.format, target.state], reached ? [format, 'reached'] : null)
  const isServing = ({ role, liveness }: (typeof replicas)[number]) =>
    role === 'replica' && liveness === 'live'
  expect('replicas', replicas.filter(isServing).length, stage.fleet.replicas.length)
  const left = replicas.filter((one) => !isServing(one))
  if (left.length > killed) expect('announcements that are left', left, [])
  const { service } = stage.chance.pick(stage.fleet.replicas)
  faults.push(...(await stage.made.check(service.url)))
  return faults
}
